"""Words that mean the same, and words that exclude each other: groups of synonyms, by class."""


def _groups(text: str) -> list[list[str]]:
    return [words.split() for words in text.split("|")]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


ATTRIBUTES = {
    "color": _groups("""
        red crimson maroon | blue navy | green | yellow | orange | purple violet lavender | pink magenta
        | brown tan beige | black | white ivory cream | gray grey silver | gold golden | turquoise teal
        aqua
    """),
    "material": _groups("""
        wooden wood | metal metallic steel iron aluminum | plastic | glass crystal | leather | brick |
        stone rock marble granite | paper cardboard | concrete cement | ceramic porcelain clay | denim |
        wicker straw | silk satin velvet
    """),
    "number": _groups("""
        one single | two couple pair both | three trio | four | five | six | seven | eight | nine | ten
    """),
    "size": _groups("small little tiny miniature | large big huge giant enormous"),
    "pattern": _groups("""
        striped | plaid checkered checked | spotted polka-dot polka-dotted dotted | floral flowered |
        plain solid | camouflage
    """),
    "age": _groups("young baby | old older elderly aged"),
    "condition": _groups("new modern | old antique vintage"),
    "length": _groups("long | short"),
    "state": _groups("open | closed shut"),
    "wetness": _groups("wet | dry"),
    "fill": _groups("empty | full"),
    "light": _groups("bright | dark"),
    "height": _groups("tall | short"),
}
"""Each kind of attribute: groups of words for one value, which exclude each other."""

LIVING = ("person", "child", "athlete", "animal", "bird")
"""Classes of heads that have an age; other things are new or old."""

NOT_CLOSED = _words("air area field plain road sea sky space street water")
"""Heads that can be open and not closed."""

COUNTED = _words("two three four five six seven eight nine ten")
"""Numbers that can stand in each other's place."""

COMPOUNDS = frozenset(
    {("hot", "dog"), ("polar", "bear"), ("grizzly", "bear"), ("high", "chair"), ("smart", "phone")}
    | {
        ("mobile", "phone"),
        ("wild", "flower"),
        ("guinea", "pig"),
        ("stuffed", "bear"),
        ("electric", "guitar"),
    }
)
"""An adjective and a head that name one thing."""

BOUND = _words("brand cast construction stainless tissue toilet wrapping wrought")
"""Words that are one word with the attribute behind them: 'stainless steel', 'toilet paper', 'brand new'."""

YOUNG = _words("boy girl child kid baby toddler brother sister one")
"""Heads whose 'little' is their age."""

HEADS = {
    "person": _groups("man guy gentleman men | woman lady women"),
    "child": _groups("boy | girl"),
    "athlete": _groups("""
        surfer | skier | skateboarder skater | snowboarder | cyclist bicyclist biker | golfer | swimmer
        | rower | climber
    """),
    "animal": _groups("""
        dog puppy pup | cat kitten | horse pony | cow bull calf | sheep lamb | elephant | giraffe |
        zebra | bear | monkey | rabbit | pig | goat | lion | tiger | deer | duck | penguin | camel |
        squirrel
    """),
    "bird": _groups("owl | parrot | pigeon | seagull gull | swan | eagle hawk | peacock | goose"),
    "vehicle": _groups("""
        car automobile taxi cab | bus | truck pickup | van | motorcycle motorbike scooter moped bicycle
        bike | train | boat ship | airplane plane jet | helicopter | tractor
    """),
    "furniture": _groups("""
        chair | table | couch sofa | bed | desk | bench | dresser cabinet | bookshelf bookcase | stool |
        nightstand
    """),
    "headwear": _groups("hat cap beanie | helmet | scarf | headband | wig | crown"),
    "clothing": _groups("""
        shirt blouse tee t-shirt | jacket coat | sweater hoodie | skirt | vest | apron
    """),
    "outfit": _groups("suit | dress gown | robe | swimsuit bikini"),
    "legwear": _groups("jeans | shorts | leggings | overalls"),
    "footwear": _groups("boot | sandal | sneaker shoe | slipper"),
    "accessory": _groups("backpack | purse handbag | umbrella | suitcase | briefcase | basket"),
    "container": _groups("plate | bowl | cup mug | bottle | vase | glass | jar | bucket | box | tray"),
    "food": _groups("""
        pizza | sandwich burger hamburger | cake cupcake | donut doughnut | salad | soup | banana |
        apple | orange | hotdog | carrot | steak | pancake | waffle
    """),
    "cutlery": _groups("fork | knife | spoon"),
    "device": _groups("""
        laptop computer | phone cellphone smartphone | television tv | camera | keyboard | printer |
        tablet
    """),
    "appliance": _groups("refrigerator fridge | oven stove | microwave | toaster | dishwasher | blender"),
    "fixture": _groups("toilet | sink | bathtub tub | shower | mirror"),
    "toy": _groups("""
        kite | frisbee | ball | doll | balloon | drum | guitar | skateboard | surfboard | snowboard
    """),
    "building": _groups("house home | church cathedral | barn | castle | lighthouse | skyscraper | tent"),
    "barrier": _groups("fence | wall | hedge | gate"),
    "plant": _groups("tree | flower | cactus | mushroom"),
    "water": _groups("lake pond | river stream creek | waterfall | fountain | pool"),
    "ground": _groups("beach | forest woods | desert | field meadow | mountain | street road | parking-lot"),
}
"""Each class of nouns, in the singular: groups of words for one thing, which exclude each other."""

SYNONYMS = _groups("""
    man guy gentleman male fellow dude | woman lady female | child kid | boy lad | girl lass | baby
    infant | person individual | dog puppy pup pooch doggy | cat kitten kitty | horse pony | bird fowl |
    couch sofa loveseat | television tv | bicycle bike | motorcycle motorbike | airplane plane aircraft
    jet airliner | boat vessel | car automobile auto | bus coach | phone cellphone smartphone |
    refrigerator fridge | stove oven range | tap faucet | picture photo photograph | rug carpet | trash
    garbage rubbish litter | sidewalk pavement | road street | beach shore | sea ocean | rock stone
    boulder | forest woods | hill slope hillside | mountain peak | field meadow pasture | laptop
    notebook | bag purse handbag | cup mug | plate dish | hat cap | jacket coat | shirt t-shirt
    tee-shirt top | glasses eyeglasses spectacles | trousers pants | doughnut donut | sweater jumper |
    racket racquet | store shop | house home | skier snowboarder | surfer surfboarder | skateboarder
    skater | photographer cameraman
""")
"""Groups of nouns, in the singular, that can mean the same object."""

_DOGS = """
    beagle boxer bulldog chihuahua collie corgi dachshund dalmatian greyhound hound husky labrador mutt
    poodle pug retriever rottweiler shepherd spaniel terrier
"""
_BIRDS = "crow duck eagle goose gull hawk hen owl parrot peacock pigeon robin rooster seagull sparrow swan"

HYPERNYMS = {
    "animal": _words(f"""
        bear bird calf camel cat cow deer dog donkey elephant giraffe goat horse kitten lamb lion monkey
        pig pony puppy rabbit sheep squirrel tiger zebra {_DOGS} {_BIRDS}
    """),
    "dog": _words(_DOGS),
    "bird": _words(_BIRDS),
    "vehicle": _words("automobile bus car jeep motorbike motorcycle scooter suv taxi tractor truck van"),
    "car": _words("convertible jeep limousine sedan suv taxi"),
    "boat": _words("canoe ferry kayak rowboat sailboat yacht"),
    "train": _words("locomotive subway tram"),
    "person": _words("""
        adult baby batter biker boarder boy bride catcher chef child cook cowboy customer cyclist
        daughter driver father female fisherman friend gentleman girl groom guy jockey kid lady male man
        mother motorcyclist officer passenger pedestrian pitcher player policeman rider sailor
        skateboarder skater skier snowboarder soldier son spectator student surfer teacher teenager
        toddler umpire vendor woman worker
    """),
    "child": _words("baby boy girl infant toddler"),
    "pet": _words(f"cat dog kitten puppy rabbit {_DOGS}"),
    "building": _words("barn cathedral church house lighthouse skyscraper tower"),
    "fruit": _words("apple banana orange pear strawberry"),
    "flower": _words("carnation daisy lily orchid rose sunflower tulip"),
    "tree": _words("maple oak palm pine willow"),
}
"""What "the animal" can mean."""
