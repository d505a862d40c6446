"""Verbs and other words that captions use, for the grammar."""


def _words(text: str) -> list[str]:
    return text.split()


def _lists(text: str) -> list[list[str]]:
    return [words.split() for words in text.split("|")]


# Verbs before a preposition.
INTRANSITIVE = _words("""
    babble bark beckon bend bicker bike blow bounce bound bow box brawl buzz camp canoe cartwheel charge
    chat cheer chew chuckle clamber clap climb cling clown collide commute compete converse coo cook
    cool cower crash crawl creep cringe cross crouch cruise cry cuddle cut cycle dance dangle dash dig
    dine dip dive dodge doze dribble drift drink drip drive drum eat embrace exercise fall feast fence
    fidget fight fish flap flex flip float flutter fly frolic frown gallop gather gaze gesture giggle
    glance glare glide golf grab grapple graze grill grimace grin grind hang hide hike hold hop hover
    huddle hug hunt hurdle hurry hurtle ice-skate jog joke juggle jump kayak kick kiss kite-surf kneel
    land laugh lay lead lean leap lick lie linger listen live load look lope lounge lunge march meditate
    meet mingle moan mosey move nap nibble nod nuzzle paddle paint parade pass paw peak pedal peddle
    peek peer perch perform pet picnic plant play point ponder pose pounce pout practice prance pray
    preach prepare prowl pull punch push race rally ramble rappel reach read recline rehearse relax rest
    ride roll rollerblade romp run rush sail saunter scale scamper scoot scowl scramble scream scurry
    share shiver shop shout show shrug shuffle sing sit skate skateboard ski skid skip sled sleep slide
    slouch smell smile smirk smoke sneak snooze snorkel snow snowboard snuggle soak soar somersault spar
    speed spin splash sprawl spray spring sprint squabble squat squint stalk stand stare step stop
    stretch stride stroll struggle strut stumble surf sway swerve swim swing swirl swoop tag talk teach
    tilt tiptoe topple train travel trek trot try tug tumble turn tussle twirl twist twitch unicycle
    vault vie waddle wade wait wakeboard walk wander warm watch wave weave whisper whistle wiggle
    windsurf wink wobble work wrestle wriggle yawn yell zoom
""")

# Verbs before an object.
TRANSITIVE = _words("""
    admire aim approach assemble attach attack balance bathe beat bite bless blow board bounce break
    bring browse brush build bump burn buy caress carry carve cast catch chair chase check chew clean
    climb clip clutch comfort congratulate cook cover cradle craft cross crush cuddle cuff cut decorate
    design dig dip display dodge drag drape draw drink drive drop dump dunk eat enjoy enter examine exit
    explore eye face fan feed fetch file film fish fix fling flip fly fold follow frost gather give grab
    grasp grease greet grill grip groom guard guide hammer hang haul have hear help herd hit hold hook
    hug inspect iron juggle jump kick kiss knead lace lasso launch lay lead leash lick lift light like
    list load lower make measure milk mop mount move mow navigate nibble notice nudge nurse nuzzle
    observe offer open overlook pack paint park pass paw pedal peel perform pet photograph pick pin
    pitch place plant play plow pluck poke polish pop pound pour prepare present process pull pump punch
    purchase push put race raise ram reach read receive record repair retrieve ride ring roast rock roll
    rope row rub sample sand saw scale scoop scratch seal sell serve set sew shade shake share sharpen
    shear shine ship shoot shovel show signal sip sketch skin slap slice slide smash smell smoke sniff
    sort spear spin split spoon spot spray spread squeeze stack staple steer stir stop straddle strike
    string stroke strum study style surround swat sweep swing tackle tag take tap taste teach tend test
    throw tie tile toss touch tow track trail transport trap trim try tug turn twist unload use view
    visit walk wash watch water wave wear weigh weld whip wipe work wrap zip
""")

PREPOSITIONS = _lists("""
    in | on | at | with | near | by | over | under | through | across | into | onto | beside | behind |
    along | around | down | up | off | past | from | to | for | in front of | next to | on top of | out
    of | towards | against | between | among | above | below | toward | beneath | inside | outside
""")

# 'rows of corn'
ARRANGEMENTS = _words("""
    array bits bunch bunches clusters dots group groups heap heaps layers line lines pair pairs patch
    patches piece pieces pile piles row rows set sets stack stacks streaks strings strip strips wisps
""")

# 'a man rock climbing'
SPORTS_ING = _lists("""
    rock climbing | ice skating | snow boarding | wind surfing | snow tubing | water skiing | ice
    climbing | ski jumping | kite surfing | roller skating | roller blading | horseback riding | scuba
    diving | sky diving | bungee jumping | break dancing | belly dancing | body surfing | hang gliding |
    skate boarding | bull riding | dirt biking | fly fishing | ice fishing | line dancing | mountain
    biking | mountain climbing | para sailing | rope climbing | tightrope walking | tree climbing |
    weight lifting | window shopping | wake boarding | water tubing | bike riding | kite boarding
""")

# 'with its mouth open': whose, what, how
OPEN = _lists("""
    its mouth open | his mouth open | her mouth open | its tongue out | his tongue out | her tongue out
    | his eyes closed | her eyes closed | its eyes open | his arms outstretched | her arms outstretched
    | his arms crossed | her legs crossed | his arm raised | her hand raised | his hands up | their arms
    raised | their hands up | his head down | her head back | its ears back | his shirt off | his shirt
    open | her back turned | its tail up | its head up | his hands clasped | his face painted | her hair
    up | her hair down | their mouths open | its teeth bared | his legs spread | his feet up
""")

BARE_ADVERBS = _words("""
    outside outdoors inside indoors underwater upside-down downhill uphill nearby sideways backwards
    forward away together overhead alone ahead downstairs upstairs barefoot downtown apart midair
    airborne upright
""")

# Past tense that is not made with -ed.
PAST = dict(
    pair.split(":")
    for pair in _words("""
    bend:bent bite:bit blow:blew break:broke bring:brought build:built buy:bought cast:cast catch:caught
    cut:cut dig:dug draw:drew drink:drank drive:drove eat:ate fall:fell feed:fed fight:fought fly:flew
    give:gave grind:ground hang:hung have:had hide:hid hit:hit hold:held kneel:knelt lay:laid lead:led
    lean:leaned leap:leapt lie:lay light:lit make:made meet:met put:put read:read ride:rode ring:rang
    run:ran saw:sawed see:saw sell:sold set:set sew:sewed shake:shook shine:shone shoot:shot show:showed
    sing:sang sit:sat sleep:slept slide:slid spin:spun spread:spread stand:stood steal:stole
    strike:struck sweep:swept swim:swam swing:swung take:took teach:taught tear:tore throw:threw
    wear:wore weave:wove wind:wound write:wrote
""")
)

# Between a thing and another: 'a banner advertising pizza', 'a table piled with food'.
OF_SIGNS = _words("""
    advertising announcing bearing carrying containing depicting displaying featuring filled holding
    labeled marked named offering overlooking painted piled printed promoting pulling reading saying
    selling serving showing spraying supporting surrounding titled
""")

# What things do.
OF_THINGS = _words("""
    set rise shine fall flow splash crash fly hang sit stand lie drive pass turn float burn smoke blow
    race speed travel roll spin slide land grow line overlook cover surround frame swing wave lead block
    light move sail stop
""")

# Before nouns: 'a running horse', 'parked cars'.
PARTICIPLES_ING = _words("""
    barking blooming boiling burning climbing crashing cycling dangling dancing falling floating
    flowering flowing flying folding glowing growing hanging jumping laughing looming melting moving
    overhanging passing racing reclining riding rolling running rushing sailing shining sitting skiing
    sleeping smiling smoking sparkling spinning sprawling standing steaming surfing swimming swinging
    towering waiting walking winding
""")

PARTICIPLES_ED = _words("""
    abandoned bearded bent blurred broken carved checkered chopped colored covered crowded curved
    decorated dressed embroidered faded fallen fenced fried frosted frozen furnished gloved grilled
    hooded inflated leashed lighted lit locked masked mixed opened ornamented padded painted parked
    paved peeled pointed polished raised rolled ruffled sequined shaved sliced spotted stacked stained
    striped stuffed tattooed tied torn used wrapped weathered
""")

# Nouns beyond those of the captions that the grammar takes its phrases from.
PERSONS = _words("""
    acrobat actor actress artist astronaut athlete audience babysitter ballerina balloonist bartender
    beagle biker bmx-rider bodybuilder bowler boxer breakdancer bullfighter busker butcher camper
    canoeist carpenter cellist cheerleader chihuahua choir climber clown coach collie commuter conductor
    contestant cop crewman dachshund dalmatian dancer demonstrator diver drummer entertainer executive
    farmer fencer firefighter firefighters fisher foreman gardener goalie golfer graduate greyhound
    guard guitarist gymnast hairdresser hiker hikers hockey-player homeless hunter hurdler husky infant
    inmate instructor janitor jockey jogger judge juggler kayaker kickboxer labrador lifeguard
    lumberjack magician marathoner marcher mechanic merchant miner model monk mountaineer musher
    musician nun nurse onlooker opponent orchestra paddler painter parachutist partner patient performer
    photographer pilot pirate policewoman poodle pooch preacher priest protester pug puppeteer
    quarterback racer rafter referee reporter retriever rottweiler runner sailor salesman scientist
    scout shopper singer skydiver smoker snorkeler snowmobiler spectator sprinter student sumo-wrestler
    surgeon swimmer tailor teammate terrier tourist trainer trombonist trumpeter violinist volunteer
    wakeboarder waiter waitress wakeboarders welder whippet windsurfer wrestler yogi youngster youth
""")
CLOTHES = _words("""
    apron attire backpack bandana beanie belt bib bikini blazer blouse bonnet boots bows bracelet
    bracelets cap cape caps cardigan chaps cleats cloak clothes clothing coat coats collar costume
    costumes dress dresses earmuffs earrings fatigues fedora flip-flops floaties garb garment gear
    glasses gloves goggles gown hardhat harness headband headgear headphones headscarf headscarves
    headwraps helmet helmets hoodie hoods jacket jackets jeans jersey jerseys jumpsuit jumpsuits kilt
    kimono kimonos knee-pads lanyard leash leggings leotard leotards life-jacket mask mittens muzzle
    necklace necklaces outfit outfits overalls overcoat pads pajamas pants parka polo poncho ponchos
    ponytail raincoat ribbons robe robes rompers sandals sari saris sarong scarf scarves scrubs shades
    shirt shirts shoes shorts skirt skirts sleeves slippers smock sneakers snowsuit snowsuits socks
    spandex spectacles stockings straps stripes suit suits sunglasses suspenders sweater sweaters
    sweatpants sweatshirt sweatshirts swimsuit t-shirt t-shirts tank-top tattoos tee-shirt tie tights
    toga top trousers trunks turban turbans tutu tuxedo uniform uniforms unitard veil vest vests visor
    waders wetsuit wetsuits wig windbreaker wings wristbands
""")
OBJECTS = _words("""
    accordion alley aquarium arch arena backboard ball balloon bagpipes bandage banjo banner bar barbell
    barrel baton beaker bleachers boardwalk bongos boulder boulders branch brook bubbles bull bus-stop
    cabin camel campfire canal canoe canyon cart carousel castle cave cello cliff climbing-wall clubs
    concert-hall confetti court creek crosswalk crutches cymbals dam debris dock drum drums dunes
    escalator factory fairground ferry field fire firewood fireworks fishing-rod flame flowerbed flute
    fountain glacier goal goalpost gorge graffiti gravel guitar gym hammock harp hay hedge hill hoop
    hose hula-hoop hurdle hurdles ice jacuzzi jeep jet-ski jungle-gym kayak ladder lake lawn leaf leaves
    ledge log logs market maze meadow microphone microscope monkey-bars monument mosque mountain
    mountains mud museum net obstacle ocean paddle paddles parade-float path pavement petals piano pier
    pillar pinata playground pond pool puddle raft rail railing ramp rapids ravine reef river rock rocks
    rope ropes saddle sand sandbox sandcastle saw saxophone scaffolding scooter seesaw seaweed shade
    shovel shore sidewalk sled slide slope slopes snow-bank snowball snowdrift soil sparkler spray
    springboard sprinkler sprinklers stadium stage staircase stairs stall statue stick stilts stream
    street subway sunset surf swing swings sword swords tarp tent tents terrain toboggan track trail
    trampoline trapeze trash treadmill tree trumpet tube tubes tunnel unicycle valley vendor-stall
    violin volcano volleyball wagon wall water waterfall water-slide wave waves weights whistle woods
    workshop wreckage wheelbarrow wheelchair yard yarn zip-line
""")
PLAIN_ADJECTIVES = _words("""
    adult african-american asian bald balding bare-chested big blond blond-haired brave bright
    brown-haired busy chubby cloudy cold colorful crowded curly-haired dark dark-haired deep dirty dry
    dusty elderly empty excited fancy female fluffy foggy furry grassy happy heavy high huge icy indoor
    large little long long-haired lone loose low male matching middle-aged muddy muscular narrow neon
    nude old older orange-clad outdoor overweight plaid pregnant professional protective public purple
    rainy red-haired rocky rough round rural sandy school-aged shaggy shallow sharp shiny shirtless
    short skinny small smooth snowy soapy soccer steep striped sunny tall tan tattooed teenage thick
    thin tiny toy traditional tropical urban very-small well-dressed wet white-haired wild wooden young
    younger
""")
NAMES = _words("""
    adidas africa america american asian australian barcelona boston brazilian british buddha california
    canadian chicago chinese christmas coca-cola dallas disney egyptian english ford french german
    halloween harley hindu honda indian irish italian japanese korean lego london mexican miami mickey
    muslim nascar native new-york nike oklahoma olympic oxford paris portuguese red-bull russian santa
    scottish sooners spanish spiderman superman texas thai tokyo toyota university yankees
""")
# 'swimming trunks', 'a climbing wall'
COMPOUNDS_ING = _lists("""
    bathing suit | watering can | fishing hut | riding gear | matching clothes | swimming cap | swimming
    trunks | swimming goggles | swimming pool | swimming suit | boxing gloves | boxing ring | boxing
    shorts | climbing gear | climbing wall | climbing harness | climbing rope | hiking boots | hiking
    trail | hiking pole | skiing gear | cycling gear | cycling shorts | fishing pole | fishing net |
    fishing boat | racing bib | racing suit | racing car | racing bikes | racing dogs | folding chairs |
    folding table | frying pan | rolling pin | rolling hills | diving board | diving mask | dancing
    shoes | running shoes | running track | riding helmet | riding boots | sleeping bag | sleeping dog |
    sewing machine | shopping bag | shopping cart | shopping mall | parking lot | parking garage |
    playing cards | playing field | sailing boat | sailing ship | skating rink | skating outfit |
    snorkeling gear | standing water | steering wheel | surfing contest | training wheels | walking
    stick | walking path | washing machine | wedding dress | wedding cake | welding mask | wishing well
    | wrestling mat | wrestling ring | writing desk | drinking fountain | drinking straw | dining room |
    dining table | cutting board | living room | jumping jacks | landing strip | loading dock | bowling
    alley | bowling ball | ironing board | moving train | flying disc | flying saucer | training bra |
    petting zoo | changing room | hunting dog | herding dog
""")
# 'a ski lift', 'face paint': the last word of many is a verb elsewhere
COMPOUNDS = _lists("""
    ski lift | ski lifts | head wrap | head wraps | bike rack | coat rack | face paint | body paint |
    beer tap | water spray | drink cart | yoga pose | drag race | pole vault | stunt jump | carnival
    ride | rope swing | tire swing | grass seeds | paint brush | hair cut | door frame | window shade |
    lamp shade | street fight | snow fight | food fight | pillow fight | mountain peak | mountain peaks
    | hill climb | cliff face | rock face | rock wall | water slide | playground slide | bus stop | stop
    sign | street light | traffic lights | hand stand | fruit stand | lemonade stand | park bench | tree
    branch | tree limb | tree stump | picture frame | photo shoot | tennis match | boat race | sack race
    | bike race | horse race | foot race | card game | bird feed | fish catch | dog bowl | dog tags |
    name tag | price tags | back flip | front flip | cart wheel | pony ride | hay ride | sand dunes |
    snow drift | dirt track | race track | train tracks | bicycle tires | bungee cords | bow tie | neck
    tie | arm bands | tattoo sleeve | protest march | dance pose | dance moves | ballet jump | birthday
    cake | picnic spread | baby carriage | golf swing | soccer kick | goal kick | karate kick | head
    dress | head scarf | hard hat | rain coat | life vest | swim trunks | swim cap | hockey stick | drum
    set | drum sticks | piano keys | guitar case | laundry line | clothes line | food line | finish line
""")
AFTER_PARTICIPLE = _lists("""
    rolled up | bundled up | beat up | fenced in | worn out | cut out | blown up | dressed up | propped
    up | boarded up | dirty looking | older looking | surprised looking | angry looking | funny looking
    | happy looking | strange looking | brightly colored | brightly lit | heavily tattooed | snow
    covered | tree lined | well dressed | freshly cut | light brown | dark blue | bright red | light
    blue | dark green | bright yellow | pale pink | navy blue | neon green | hot pink | royal blue |
    deep blue | two piece | long sleeved | short sleeved | half eaten | fast moving | very large | very
    small | rather big | serious looking | tired looking | elderly looking | medium sized | large sized
    | child sized | knee deep | waist deep | chest deep | ankle deep | wheelchair bound | low hanging |
    low riding | four wheel | single file | bright orange | light green | dark red | brown haired |
    curly haired | fur lined | fenced off | roped off | run down | spread out | very still | very tall |
    would be | oddly shaped | brightly painted | scantily clad | graffiti covered | wide eyed | black
    haired
""")
MANNER = _words("""
    calmly carefully closely excitedly eagerly furiously gently gleefully happily intently joyfully
    loudly playfully proudly quickly quietly rapidly sadly slowly together skillfully
""")
TO_DO = _lists("""
    tries to | prepares to | is about to | attempts to | waits to | gets ready to | is trying to | is
    getting ready to | leaps to | is preparing to | bends down to | is going to | reaches out to | is
    attempting to
""")
PERCEIVE = _words("watches watch helps help sees see lets let makes make hears watching helping")

# 'a tree lined street', 'a bush and tree heavy area'
JOINED_ADJECTIVES = _words("covered filled flavored free heavy like lined shaped style styled themed topped")
DISHES = _words(
    "bread burger cake casserole dish omelet pie pizza platter roll salad sandwich soup stew toast wrap"
)
FOODS = _words("""
    apple bacon banana bean beef broccoli cheese cherry chicken chocolate cucumber egg fish fruit ham
    lemon macaroni mushroom nut onion pasta pepper potato rice sausage shrimp spinach steak strawberry
    tomato tuna turkey vegetable
""")
DENIALS = _lists("""
    without a | but not a | is not a | isn't a | instead of a | does not have a | doesn't have a | with
    no | has no | not wearing a | can't see a | without any | there are no | there isn't a | rather than
    a | is missing a | lacks a | free of | cannot reach the | wasn't on the | couldn't find the | devoid
    of | won't eat the | isn't wearing any
""")
MOOD_VERBS = _words(
    "adding adds conveying conveys creating creates evoking giving has suggests suggesting with"
)
MOOD_ADJECTIVES = _words("""
    calm cheerful chilly cozy cool eerie elegant festive fun inviting joyful lively modern mysterious
    nostalgic overall peaceful playful quiet relaxed rustic serene sophisticated strong tranquil vibrant
    warm welcoming whimsical
""")

PEOPLE_NAMES = _words("""
    alex amy anna bob charlie dad daisy elvis emma fido grandma jack james jane jesus john lassie
    lincoln lucy maria mary max mike mom napoleon obama paul peter rex sam santa sarah shakespeare
    snoopy tom
""")
