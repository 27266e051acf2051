"""The words of the generated listings: how hosts write titles, by language and kind of room."""

from dataclasses import dataclass

ENTIRE, PRIVATE, SHARED, HOTEL = "Entire home/apt", "Private room", "Shared room", "Hotel room"
ROOM_TYPES = (ENTIRE, PRIVATE, SHARED, HOTEL)

PLACES = {
    "madrid": ("Lavapiés", "Malasaña", "Chueca", "Retiro", "La Latina", "Chamberí", "Atocha",
               "Salamanca", "Arganzuela", "Sol", "Tetuán", "Gran Vía"),
    "barcelona": ("Gràcia", "El Born", "Poblenou", "Sants", "Eixample", "Raval", "Barceloneta",
                  "Poble-sec", "Sagrada Família", "Horta"),
    "sevilla": ("Triana", "Santa Cruz", "La Macarena", "Nervión", "Alameda", "El Arenal"),
    "valencia": ("Ruzafa", "El Carmen", "Benimaclet", "Malvarrosa", "El Cabanyal"),
    "dublin": ("Rathmines", "Temple Bar", "Phibsborough", "Ranelagh", "Smithfield", "Howth"),
    "london": ("Camden", "Hackney", "Shoreditch", "Brixton", "Notting Hill", "Greenwich", "Soho"),
    "new_york": ("Harlem", "Williamsburg", "Bushwick", "Astoria", "East Village", "Chelsea",
                 "Bed-Stuy", "Washington Heights"),
}  # fmt: skip
SPANISH_CITIES = ("madrid", "barcelona", "sevilla", "valencia")
ENGLISH_CITIES = ("dublin", "london", "new_york")


@dataclass(frozen=True)
class Wording:
    """
    How titles are put together in one language.

    Attributes:
        language: BCP 47 tag.
        nouns: What hosts call each kind of room.
        hints: What gives each kind away without naming it.
        borrowed: Words of another kind that hosts of a kind use all the same: misleading.
        praise: Adjectives that fit any noun.
        features: What a place has, to stand after "with".
        nearby: What it lies next to, and other things said at the end.
        vague: Titles, with `{place}`, that say nothing about the kind.
        patterns: Titles with `{noun}`, `{praise}`, `{feature}`, `{nearby}` and `{place}`.
    """

    language: str
    nouns: dict[str, tuple[str, ...]]
    hints: dict[str, tuple[str, ...]]
    borrowed: dict[str, tuple[str, ...]]
    praise: tuple[str, ...]
    features: tuple[str, ...]
    nearby: tuple[str, ...]
    vague: tuple[str, ...]
    patterns: tuple[str, ...]


ENGLISH = Wording(
    language="en",
    nouns={
        ENTIRE: ("apartment", "flat", "studio", "loft", "2 bedroom apartment", "townhouse", "condo",
                 "1BR apt", "penthouse", "cottage", "duplex", "entire flat", "whole house"),
        PRIVATE: ("room", "private room", "double room", "bedroom", "single room", "guest room",
                  "ensuite room", "room in shared flat", "spare bedroom"),
        SHARED: ("bed in shared room", "bunk bed", "bed in dorm", "shared room", "sofa bed",
                 "bed in mixed dormitory", "pod bed"),
        HOTEL: ("hotel room", "boutique hotel room", "deluxe room", "suite", "aparthotel studio",
                "superior double room", "guesthouse room", "standard twin room"),
    },
    hints={
        ENTIRE: ("sleeps 6", "full kitchen", "whole place to yourself", "2 bathrooms", "for groups",
                 "private terrace", "3 beds", "self check-in"),
        PRIVATE: ("shared bathroom", "friendly host", "with our cats", "female only", "own lock",
                  "use of kitchen", "monthly stays", "breakfast with the family"),
        SHARED: ("for backpackers", "lockers", "hostel", "6 beds", "cheap stay",
                 "share with others"),
        HOTEL: ("24h reception", "daily housekeeping", "breakfast buffet", "room service",
                "lobby bar", "concierge"),
    },
    borrowed={
        ENTIRE: ("room with own kitchen", "suite", "hideaway bedroom flat", "2 room place"),
        PRIVATE: ("studio", "loft space", "apartment", "suite", "townhouse"),
        SHARED: ("private corner", "room", "apartment near metro"),
        HOTEL: ("studio", "apartment", "double room", "loft"),
    },
    praise=("cosy", "sunny", "bright", "charming", "modern", "quiet", "spacious", "lovely",
            "stylish", "beautiful", "clean", "elegant", "comfy", "amazing", "newly renovated",
            "affordable"),
    features=("balcony", "garden view", "fast wifi", "rooftop", "A/C", "free parking", "city views",
              "washer", "lift", "patio", "desk for remote work", "big windows"),
    nearby=("near the metro", "5 min to the centre", "close to the park", "next to the station",
            "great for couples", "by the market"),
    vague=("The heart of {place}", "{place} hideaway", "Best location in {place}",
           "Welcome to {place}!", "Home away from home", "Your nest in {place}",
           "A gem in {place}", "{place} calling", "Casa Luna {place}", "Sleep well in {place}",
           "Live like a local, {place}", "Long stays {place}", "Steps from everything - {place}"),
    patterns=("{praise} {noun} in {place}", "{praise} {noun} with {feature}",
              "{noun} in {place}, {nearby}", "{place}: {praise} {noun}", "{noun} {place}",
              "{praise}, {praise} {noun}", "{noun} - {feature} - {place}",
              "{praise} {noun} {nearby}", "{noun} with {feature} in {place}",
              "{praise} {place} {noun} | {feature}"),
)  # fmt: skip

SPANISH = Wording(
    language="es",
    nouns={
        ENTIRE: ("piso", "apartamento", "estudio", "ático", "loft", "casa entera", "dúplex",
                 "piso de 3 habitaciones", "apto. completo", "chalet", "bajo con patio"),
        PRIVATE: ("habitación", "habitación doble", "habitación individual", "cuarto", "dormitorio",
                  "habitación en piso compartido", "hab. privada", "habitación con baño"),
        SHARED: ("cama en dormitorio compartido", "litera", "habitación compartida", "sofá cama",
                 "plaza en habitación mixta", "cama en albergue"),
        HOTEL: ("habitación de hotel", "suite", "habitación superior", "hostal",
                "habitación deluxe", "doble estándar", "aparthotel"),
    },
    hints={
        ENTIRE: ("para 6 personas", "cocina completa", "todo el piso para ti", "2 baños",
                 "familias", "terraza privada", "3 camas", "entrada autónoma"),
        PRIVATE: ("baño compartido", "con derecho a cocina", "solo chicas", "ambiente familiar",
                  "estudiantes", "con cerradura", "por meses", "con la familia"),
        SHARED: ("para mochileros", "taquillas", "albergue", "6 camas", "muy barato", "compartes"),
        HOTEL: ("recepción 24h", "limpieza diaria", "desayuno bufé", "servicio de habitaciones",
                "conserjería"),
    },
    borrowed={
        ENTIRE: ("habitación con cocina propia", "suite", "cuarto con entrada propia"),
        PRIVATE: ("estudio", "piso", "apartamento", "suite", "ático"),
        SHARED: ("rincón privado", "habitación", "piso junto al metro"),
        HOTEL: ("estudio", "apartamento", "habitación doble", "loft"),
    },
    praise=("elegante", "agradable", "increíble", "ideal", "genial", "confortable", "espectacular",
            "grande", "excelente", "encantador", "luminoso", "precioso", "acogedor", "tranquilo"),
    features=("balcón", "mucha luz", "wifi rápido", "terraza", "aire acondicionado",
              "parking gratis", "buenas vistas", "ascensor", "lavadora", "piscina",
              "mesa de teletrabajo"),
    nearby=("junto al metro", "a 5 min del centro", "cerca del parque", "al lado de la estación",
            "ideal parejas", "junto al mercado"),
    vague=("El corazón de {place}", "Rincón en {place}", "La mejor zona de {place}",
           "Encanto en {place}", "Como en casa", "Tu nido en {place}", "Una joya en {place}",
           "Casa Lola {place}", "Descansa en {place}", "{place} con encanto", "Vive {place}",
           "Estancias largas {place}", "A un paso de todo - {place}"),
    patterns=("{noun} {praise} en {place}", "{noun} con {feature}", "{noun} en {place}, {nearby}",
              "{place}: {noun} {praise}", "{noun} {place}", "{praise} {noun} en {place}",
              "{noun} - {feature} - {place}", "{noun} {praise} {nearby}",
              "{noun} con {feature} en {place}", "{noun} {praise} | {feature} | {place}"),
)  # fmt: skip

CATALAN = Wording(
    language="ca",
    nouns={
        ENTIRE: ("pis", "apartament", "estudi", "àtic", "casa sencera"),
        PRIVATE: ("habitació", "habitació doble", "habitació individual", "cambra"),
        SHARED: ("llit en dormitori compartit", "llitera", "habitació compartida"),
        HOTEL: ("habitació d'hotel", "suite", "hostal", "habitació superior"),
    },
    hints={
        ENTIRE: ("per a 6 persones", "cuina completa", "tot el pis per a tu"),
        PRIVATE: ("bany compartit", "dret a cuina", "ambient familiar"),
        SHARED: ("per a motxillers", "taquilles", "alberg"),
        HOTEL: ("recepció 24h", "esmorzar bufet", "neteja diària"),
    },
    borrowed={
        ENTIRE: ("suite", "habitació amb cuina pròpia"),
        PRIVATE: ("estudi", "pis", "apartament"),
        SHARED: ("habitació", "racó privat"),
        HOTEL: ("estudi", "apartament", "habitació doble"),
    },
    praise=("lluminós", "tranquil", "cèntric", "ideal", "elegant", "acollidor", "bonic"),
    features=("balcó", "molta llum", "wifi ràpid", "terrassa", "bones vistes"),
    nearby=("a prop del metro", "al costat del parc", "a 5 min del centre"),
    vague=("El cor de {place}", "Racó a {place}", "Com a casa", "Una joia a {place}",
           "Viu {place}"),
    patterns=("{noun} {praise} a {place}", "{noun} amb {feature}", "{noun} a {place}, {nearby}",
              "{place}: {noun} {praise}", "{praise} {noun} - {feature}"),
)  # fmt: skip

WORDINGS = {wording.language: wording for wording in (ENGLISH, SPANISH, CATALAN)}
EMOJIS = ("✨", "🏡", "❤️", "☀️", "🌿", "🛏️", "🔑", "⭐️", "🎉", "🐈")
