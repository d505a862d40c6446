"""Words that the teacher's rules ask about; nouns are in the singular."""

from harmoclip.segment.english.lexicon import _words, noun_in


def is_ing_compound(word: str, after: str) -> bool:
    """Whether a word in -ing and the noun after it name one thing: 'cutting board'."""
    return word in ING_COMPOUNDS and noun_in(after, ING_COMPOUNDS[word])


# Heads of 'a ham and cheese sandwich'.
DISHES = _words("""
    bread burger cake casserole cookie dish dog hamburger holder hotdog meal muffin omelet omelette pie
    pizza plate platter roll salad sandwich set shaker shop soup stew stir-fry sub toast wrap
""")

# Adjectives that make one modifier with the noun before them: 'a tree lined street'.
COMPOUND_ADJECTIVES = _words("""
    covered filled flavored free heavy like lined shaped style styled themed topped
""")

PRE_ADJECTIVE_ADVERBS = _words("""
    extremely half hard more most much newly quite rather so super too very well
""")

# Nouns even where the tagger saw a verb, adjective or adverb.
FIRM_NOUNS = _words("""
    airplane backpack banana bat bear bed bench bicycle bike bird blanket board boat booth bowl boy
    broccoli bus cabinet cake camera candle carrot cart cat child chop couch counter cow curtain desk
    dog donut dresser elephant fence fork fridge frisbee giraffe girl glove guy handbag hat helmet horse
    hydrant jacket keyboard kid kite knife lady lamp laptop lot man meter microwave mirror motorcycle
    oven people person phone pillow pizza plane plate player produce rack racket racquet refrigerator
    remote roof rug salad sandwich scissors sheep shirt shower sign sink skateboard ski skis snowboard
    spoon station statue stove suitcase surfboard table tie toaster toilet toothbrush tower train truck
    umbrella vanity vase woman zebra
""")

# Nouns after the noun of a thing: 'a note stand', 'a bus stop'.
NOUN_AFTER_NOUN = _words("""
    bag board bowl box bridge case chop clock court cover cut dish display dock dress fan field light
    market pack pan paper park pass pen pin plant post pot race rest ride ring roll saddle screen set
    shade shop show slide stand step stop store suit swing switch table tank tap tie top track trail
    tray trunk tub walk wash wear
""")

ADVERBS = _words("downstairs indoors inside nearby outdoors outside overhead together upside upstairs")

# Words in -s that are verbs when a singular noun stands before them.
S_VERBS = _words("""
    approaches attempts bends bites carries catches chews climbs comes contains covers crosses crouches
    cuts displays does drinks drives drops eats features flies floats follows gallops gazes gets goes
    grabs grazes hangs hits holds hovers includes jumps kicks kneels lands laughs lays leads leans licks
    lies lifts looks makes moves navigates overlooks passes pecks peeks peers perches performs plays
    points poses prepares pulls pushes reaches reads rests returns rides rubs runs serves shakes shows
    sits sleeps smiles sniffs soars speaks squats stands stares starts stops stretches strikes surfs
    swims swings takes talks throws tosses travels tries trots turns uses wades waits walks watches
    wears winds writes
""")

# Words in -ing that are nouns after a noun; all others are verbs there, whatever the tagger says.
ING_NOUNS = _words("""
    anything awning bedding beijing bing boeing building carving ceiling clearing clothing coating
    covering crossing decking drawing dressing duckling dumpling earring edging etching evening
    everything fencing flooring frosting gelding greeting helping housing icing king landing landscaping
    lettering lighting lining marking molding morning moulding nothing offering opening packaging
    painting pairing paneling panelling parking piercing ping piping plumbing pudding railing rigging
    ring roofing scaffolding seating serving setting shelving sibling siding sling something spelling
    spring stocking string stuffing swing thing topping trimming tubing viking webbing wedding wing
    wrapping writing
""")

# Words in -ing that take an object, so that they open no noun phrase.
ING_VERBS = _words("""
    attempting brushing carrying catching chasing containing crossing cutting displaying doing drinking
    driving eating enjoying facing featuring feeding flying getting having hitting holding including
    kicking making overlooking performing petting playing preparing pulling pushing reading riding
    selling serving sharing showing sporting surrounding swinging taking throwing using walking watching
    wearing wielding
""")

# Words in -ing that name a kind of thing, with the nouns they do so for.
ING_COMPOUNDS = {
    "baking": _words("dish pan sheet tray"),
    "boarding": _words("gate pass"),
    "building": _words("block"),
    "cooking": _words("area oil pan pot station utensil"),
    "cutting": _words("board table tool"),
    "dining": _words("area car chair hall room set table"),
    "diving": _words("board"),
    "drinking": _words("cup fountain glass glasses straw"),
    "eating": _words("area utensil"),
    "feeding": _words("station trough"),
    "fishing": _words("boat net pier pole rod"),
    "frying": _words("pan"),
    "hanging": _words("basket lamp light plant planter"),
    "holding": _words("pen"),
    "ironing": _words("board"),
    "landing": _words("gear strip"),
    "living": _words("area quarter room space"),
    "looking": _words("glass"),
    "parking": _words("area garage lot meter sign space spot structure"),
    "playing": _words("card field"),
    "racing": _words("bike car motorcycle suit track"),
    "reading": _words("glasses lamp"),
    "riding": _words("boot gear helmet lawn outfit"),
    "rolling": _words("hill luggage pin suitcase"),
    "running": _words("shoe water"),
    "sailing": _words("boat ship"),
    "seating": _words("area"),
    "serving": _words("bowl dish plate platter spoon table tongs tray"),
    "sewing": _words("kit machine"),
    "shopping": _words("area bag basket cart center district mall"),
    "sitting": _words("area room"),
    "skateboarding": _words("park ramp rink"),
    "skating": _words("area park ramp rink"),
    "skiing": _words("equipment gear outfit slope"),
    "sleeping": _words("area bag mat"),
    "standing": _words("room"),
    "steering": _words("wheel"),
    "surfing": _words("board"),
    "swimming": _words("pool suit trunk"),
    "training": _words("wheel"),
    "vending": _words("machine"),
    "waiting": _words("area room"),
    "walking": _words("bridge path stick trail"),
    "washing": _words("area machine"),
    "wedding": _words("cake dress party reception ring"),
    "writing": _words("desk utensil"),
}

# Adjectives that are used as nouns.
NOMINAL_ADJECTIVES = _words("""
    adult blonde brunette elderly female individual infant juvenile local male native professional teen
    toddler
""")

# Words after 'a' that a plural may follow.
QUANTITY_BEFORE_PLURAL = _words("""
    bunch couple dozen few group hundred lot lots million number pair thousand variety
""")
