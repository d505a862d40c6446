"""General English words that the rules ask about; nouns are in the singular, see `noun_in`."""

from harmoclip.segment.english.singular import singular


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def noun_in(word: str, nouns: frozenset[str]) -> bool:
    """Whether a lower-case noun, singular or plural, is among the nouns."""
    return word in nouns or singular(word) in nouns


# --- 'X of Y' -----------------------------------------------------------------------------------------

# 'two of the dogs'
QUANTIFIERS = _words("all both each few five four many most one several six some three two")

# X counts, groups, arranges or cuts Y: one phrase with head Y.
GROUPS = _words("""
    abundance alot amount area army arrangement array assortment bale band batch bevy bit bite blob
    block bloom boatload body bouquet bucketload bunch bundle burst bushel chain chunk class clove clump
    cluster collage collection column combination convoy couple covering crew crowd crust dab dash deal
    display dollop dozen drop duo ear family fleet flight flock formation gaggle gang gathering group
    gust half handful head heap helping herd horde host hundred hunk jet kind layer length line litter
    load loaf lock lot majority mass member million mix mixture mound mouthful multitude number pack
    packet pair parade part patch percent piece pile pinch plenty plethora portion pride procession puff
    quantity quarter queue range remainder remains rest rim row school scoop scrap section segment
    selection sequence series serving set sheet shred slab slew slice sliver sort spear species splash
    spoonful spray spread sprig stack stalk stick strand stretch string strip stripe style swarm swath
    tangle team third thousand throng ton touch tower trio truckload tuft type variety version wad wedge
""")

# A definite X says which end of Y is meant: one phrase with head X, 'the edge of the pool'.
ENDS = _words("""
    bank base bottom brink crest edge end foot lip peak ridge rim shore shoreline summit surface tip top
""")

# Parts of a body: 'the hand of a boy' is one phrase with head X, as 'a boy's hand' is.
BODY_PARTS = _words("""
    ankle arm belly cheek chest chin ear elbow eye face finger foot forehead fur hair hand head hip knee
    lap leg lip mouth neck nose paw shoulder tail thigh thumb tongue tooth waist wrist
""")

# X shows Y, and Y itself is not there: one phrase with head X.
DEPICTIONS = _words("""
    bust carving cartoon cutout diorama drawing face figurine illustration image map model mural outline
    painting photo photograph picture portrait poster print reflection replica sculpture shadow
    silhouette sketch snapshot statue tattoo
""")

# X only wraps Y: Y alone is the phrase.
WRAPPERS = _words("content contents exterior inside interior outside remnant rest sort")

# --- what cannot be seen ------------------------------------------------------------------------------

PRONOUNS = _words("""
    all another any anybody anyone anything both each everybody everyone everything few half he her hers
    herself him himself his i it its itself many me mine most myself no-one nobody none nothing one ones
    other ours self several she some something that their theirs them themselves these they this those us we
    what which who whom you yours yourself
""")

# 'two wearing hats', 'some with flags' stand for what was named before.
ELLIPTIC = _words("each five four six some three two")

# 'no one', 'any one' name nothing in particular.
INDEFINITE = _words("any every no")

# After these 'something' is not seen, after 'holding' and 'with' it is.
NOT_HELD = _words("""
    about at do does doing film filming films for observe observes observing of record recording see
    seeing sees to toward towards videotaping watch watches watching
""")

# Words that name nothing alone: articles, and adverbs that are taken for nouns.
NAMELESS = _words("""
    a alike an askance backward backwards downward downwards headfirst headlong off-camera outward
    outwards sideways skyward the upright upward upwards
""")

# First words of phrases that name what is not there.
NO = _words("0 neither no nor zero")

# 'no parking signs' are there.
SIGNS = _words("area policy sign symbol zone")
FORBIDDEN = _words(
    "biking diving dumping entry fishing littering parking passing smoking swimming trespassing"
)

# Words before what is not there.
WITHOUT = _words("""
    barely hardly lack lacked lacking lacks minus missing neither nor sans scarcely without
""")
WITHOUT_PAIRS = frozenset(
    [
        ("instead", "of"),
        ("rather", "than"),
        ("lack", "of"),
        ("absence", "of"),
        ("free", "of"),
        ("free", "from"),
    ]
    + [(word, "of") for word in ("bare", "clear", "devoid", "empty", "void")]
    + [("opposed", "to")]
)
NOT = _words("longer n't never not without")
NOBODY = _words("no-one nobody none nothing")
NOT_ONLY = _words("far just merely only simply")
NOT_ALL = _words("all each enough every everyone many most much the two")
HAVING = _words("""
    carry carrying contain containing depict depicting feature featuring had has have having hold
    holding include including see seeing show showing use using wear wearing
""")

# Words after what is not there.
BEING = _words("are be been being is was were")
PRESENT = _words("available included pictured present seen shown there visible")
MISSING = _words("absent gone missing nowhere")

# Words for the picture, when one of FRAME_FOLLOWERS comes next.
FRAMES = _words("""
    angle close close-up closeup collage depiction drawing footage glimpse illustration image overview
    painting perspective photo photograph photography pic pics picture portrait rendering scene
    screenshot selfie shot snapshot still up video view
""")

FRAME_FOLLOWERS = _words("""
    captures containing contains depicting depicts features featuring from has in is looking of show
    showing shows taken that with
""")

ALWAYS_FRAMES = _words(
    "angle close close-up closeup footage glimpse overview perspective up view viewer viewpoint"
)

# What these do is a guess or an impression: 'suggesting a recent rain'.
GUESSERS = _words("""
    convey conveying conveys evoke evokes evoking exude exudes exuding hint hinting hints implies imply
    implying indicate indicates indicating suggest suggesting suggests
""")

# Words for a picture that somebody takes, poses for or looks at.
CAMERA_SHOTS = _words("image photo photograph pic picture portrait selfie shot video")

# Words for what a picture shows, after 'in the'.
SCENES = _words("frame scene")

TAKERS = _words("pose posed poses posing shoot shooting snap snapping snaps take taken takes taking took")

# Words before a camera which is the viewer.
VIEWING = _words("at face faces facing for from into to toward towards")

SPATIAL = _words("""
    back background backside base beginning border bottom center centre corner direction distance edge
    end foreground front height inside left length location middle midst opposite outside outskirts
    perimeter position proximity rear right side tip top topside underside vicinity
""")

# Spatial whatever their adjective; the others are things with an adjective that is not among the
# modifiers.
ALWAYS_SPATIAL = _words("background distance foreground middle midst vicinity")

SPATIAL_MODIFIERS = _words("""
    all back both bottom different driver each either every far four front hand immediate inner left
    lower many near one opposite other outer passenger rear right same several side top two upper very
    wrong
""")

TIMES = _words("""
    afternoon autumn birthday christmas dawn day daylight daytime dusk easter evening future halloween
    holiday hour midday midnight minute moment month morning night nightfall nighttime noon past season
    second summer thanksgiving time today tomorrow tonight week weekend while winter year
""")

# Times without an article, things with one.
BARE_TIMES = _words("fall spring sunrise sunset")

EVENTS = _words("""
    activity adventure anniversary auction battle biking boarding break catch celebration ceremony
    championship chat climb competition concert conference contest convention conversation cooking
    cycling dance demonstration discussion drinking driving eating event exercise exhibition
    expedition festival fight fishing flight flying funeral game gathering graduation grazing hike
    hiking hit inning interview journey jump jumping kiteboarding landing lesson marathon match meeting
    nap outing parasailing party performance picnic pitch play playing playoff practice
    presentation race racing reception recital rest reunion ride riding rodeo round run running sailing
    serve session shopping show sitting skateboarding skating skiing sledding snowboarding speech
    standing stroll surfing swimming takeoff talk talking throw tour tournament training travel
    traveling trip vacation volley walk walking wedding windsurfing
""")

# Events after a preposition and without an article.
BARE_EVENTS = _words("breakfast brunch dessert dinner home lunch school supper work")

SPORTS = _words("""
    badminton baseball billiards bowling boxing catch chess cricket croquet dodgeball doubles fetch golf
    gymnastics hockey karate kickball lacrosse paintball ping-pong poker polo pong quidditch rugby
    soccer softball sport tag tennis wrestling yoga
""")

# Activities after "play"; of a game with the name of its ball the ball is seen.
PLAYED = _words("card frisbee game nintendo playstation sport videogame wii xbox")

# 'a game of frisbee': neither can be seen.
ACTIVITIES_OF = _words("game match round sport")

# Events and abstract nouns that name a thing or a place after these words.
OBJECT_COMPOUNDS = {
    "formation": _words("cloud ice rock"),
    "walk": _words("board cat cross side"),
    "jump": _words("ski"),
    "run": _words("ski"),
    "way": _words("alley arch door drive entry hall high rail run sub walk"),
    "stand": _words("food fruit night tv"),
    "ride": _words("amusement carnival fair fairground park theme"),
    "display": _words("flower food fruit store window"),
    "swing": _words("porch tire"),
}

ABSTRACT = _words("""
    ability action addition advantage aesthetic air allure amazement ambiance ambience amount annoyance
    anticipation appeal approach arrival aspect atmosphere attempt attention attitude aura authenticity
    balance beauty business call calm calmness camaraderie captivity care celebration chance chaos charm
    cheer cheerfulness choice close closeness comfort company competition completion concentration
    concept concern condition confinement confusion conjunction construction consumption contemplation
    contrast cosiness coziness creativity culture curiosity danger date decision degree delight
    departure depth detail dignity disarray disgust distress diversity drama duty dynamism effect
    elegance emotion emphasis energy enjoyment enthusiasm environment essence example excitement
    existence experience exploration extent fact fashion fear feel feeling femininity flair flight focus
    force formation freedom friendliness friendship fun function functionality genre grace grandeur
    gravity happiness harmony help hint history honor hope horseback hospitality humor idea illusion
    impression individuality information innocence inspiration instance intensity intention interest
    intimacy intrigue isolation job joy joyfulness juxtaposition kind knowledge language leisure life
    liveliness loneliness look loose love luxury majesty manner melancholy memory mid mid-air midair
    mode moment mood motion movement mystery name narrative nature need nostalgia opportunity optimism
    opulence order organization ownership pace peace perfection personality playfulness pleasure plenty
    pose position possibility power practicality preparation presence process professionalism progress
    protest purpose pursuit quiet quietness rate readiness realism rear reason relation relaxation
    resilience return romance route sale sense serenity service silence simplicity sincerity single
    skill sleep solitude sophistication sort speed spirit spontaneity state status stillness strength
    stunt style surprise symmetry sync synch tandem tension theme thought title togetherness tone
    tradition tranquility tranquillity transit transport transportation travel tribute trick type unison
    unity use version vibe vibrancy vitality warmth way whimsy width wild wonder
""")

# Abstract after a preposition and without an article.
BARE_ABSTRACT = _words("""
    appearance bloom bulk case charge circle circles control display flight foot formation front general
    half hold line lines mid need pair pairs part particular place public rest row rows season shape
    show sight spot step style tandem touch tow turn turns view
""")

ATTRIBUTES = _words("color colour design flavor height hue length pattern shape size style")

# --- attributes ---------------------------------------------------------------------------------------

# Quantities that the tagger calls adjectives or nouns.
NUMBERS = _words("couple dozen few hundred hundreds lots many multiple numerous several")

# 'two-story', 'four-wheel'
COUNTS = _words(
    "double eight five four half multi nine one quarter seven single six ten three triple two twin"
)

COLORS = _words("""
    aqua beige black blue brown burgundy camouflage cream crimson gold gray green grey ivory khaki
    lavender magenta maroon navy orange pink plaid purple red silver tan teal turquoise violet white
    yellow
""")

# 'all black', 'bright red'
SHADES = _words("all bright dark hot light mostly neon pale solid")

# Words before the color of clothes.
WEARING = _words("wear wearing wears")
DRESSED = _words("all attired clad clothed decked dressed outfitted uniformed")
SOMEBODY = _words("another one ones other others somebody someone those")

# 'multi-colored'
COLORED = _words("color colored colour coloured hued tinted toned")

COLOR_MODIFIERS = _words("a and deep the") | SHADES

# Colours that are things too.
COLOR_OBJECTS = _words("cream gold lavender orange silver violet")

MATERIALS = _words("""
    aluminum asphalt bamboo brass brick bronze cardboard cement ceramic china chrome clay cobblestone
    concrete copper cotton crystal denim dirt felt foam fur glass gold granite grass gravel ice iron
    lace leather linen marble metal paper plastic porcelain rubber sand silk silver snow stainless steel
    stone straw tile tiled tin velvet vinyl wicker wire wood wooden wool
""")

PEOPLE_AND_ANIMALS = _words("""
    adult animal athlete baby ballerina band bandmate batter bear bicyclist biker bird boarder boxer boy
    bridesmaid bride bull calf cat catcher cheerleader chef child children climber clown cook couple cow
    cowboy crowd cub customer cyclist dancer daughter dog driver duck elephant family father female
    fighter fisherman footballer friend gentleman giraffe girl goalie goalkeeper goat goose groom group
    guy gymnast hiker horse jockey jogger kid kitten lady lamb lion male man men monk monkey mother
    motorcyclist musician nun nurse officer opponent owl parrot passenger pedestrian performer people
    person pig pigeon pitcher player policeman pony puppy rabbit racer referee rider runner sailor
    seagull sheep singer skateboarder skater skier snowboarder soldier son spectator squirrel student
    surfer swan swimmer teacher team teammate teenager tiger toddler umpire vendor woman women worker
    wrestler zebra
""")
