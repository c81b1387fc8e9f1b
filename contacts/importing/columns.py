"""What each column of a file is, guessed from its header in several languages and from its values."""

import datetime
import hashlib
import re
import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from django.utils.text import slugify

from contacts import fitting
from contacts.importing import values
from contacts.importing.reader import ADDRESS
from contacts.models import CustomField

EXAMPLES: Final = 5


def _word(text: str) -> str:
    bare = unicodedata.normalize("NFKD", text.casefold())
    return re.sub(r"[\W_]", "", "".join(char for char in bare if not unicodedata.combining(char)))


# Header words: letters and digits only, small, the marks above and below letters removed.
WORDS: Final[dict[str, frozenset[str]]] = {
    role: frozenset(map(_word, words.split()))
    for role, words in {
        "email": """
            email emailaddress emailaddr emailid mail mailaddress emailadresse mailadresse eadresse
            correo correoelectronico correoe courriel adresseemail adressemail adressecourriel
            adresemail indirizzoemail emailadres epost epostadress epostadresse eposta sahkoposti
            sahkopostiosoite enderecodeemail subscriberemail contactemail почта электроннаяпочта
            емейл メール メールアドレス 邮箱 电子邮件 電子郵件 이메일
        """,
        "first_name": """
            firstname first fname given givenname givennames forename vorname rufname prenom nombre nome primeironome
            voornaam fornamn fornavn etunimi imie имя ad keresztnev jmeno 名
        """,
        "last_name": """
            lastname last lname surname family familyname nachname familienname zuname nomdefamille apellido
            apellidos cognome sobrenome achternaam efternamn efternavn etternavn sukunimi nazwisko
            фамилия soyad vezeteknev prijmeni 姓
        """,
        "name": """
            name fullname contactname vollername nomcomplet nombrecompleto nomecompleto naam namn
            navn nimi 氏名 姓名
        """,
        "tags": """
            tag tags label labels etiquetas etiquette etiquettes etichetta etichette schlagwort schlagworte
            schlagworter metki метки теги タグ 标签
        """,
        "consent_at": """
            confirmtime optintime consentdate consenttime consentat consentgiven dateofconsent optindate optinat
            subscribedat subscribedon subscriptiondate signupdate einwilligungsdatum anmeldedatum
            datedinscription fechadesuscripcion datadiconsenso
        """,
    }.items()
}
# What other services add for themselves; left out unless the person wants it.
TECHNICAL: Final = frozenset(
    """
    memberrating optintime optinip confirmtime confirmip latitude longitude gmtoff dstoff timezone
    cc region lastchanged leid euid notes unsubtime unsubcampaigntitle cleantime cleancampaigntitle
    contactid subscriberid uuid id
    """.split()  # noqa: SIM905  (words read better than eighteen quoted ones)
)
# What Volley's own exports add (contacts/exporting/rows.py), left out likewise; in other files these may be anything.
EXPORTED: Final = frozenset(
    ("lists", "suppressed", "added", "status", "consent", "consentgiven", "unsubscribed", "unsubscribedby")
)
EXPORTED_ALWAYS: Final = frozenset(("lists", "suppressed", "added"))
RESERVED_KEYS: Final = frozenset(("email", "first_name", "last_name", "name", "id"))


@dataclass(frozen=True)
class Column:
    """A column. guess: a role as in `Import.mapping`, or "new:TYPE"; label: of the field it would make.

    unfit: the field that it is called like, but whose values most of its cells cannot be; "" else.
    """

    index: int
    label: str
    examples: list[str]
    guess: str
    unfit: str = ""


def guess_columns(
    header: Sequence[str], sample: Sequence[Sequence[str]], fields: Collection[CustomField], notation: str
) -> list[Column]:
    width = max([len(header), *map(len, sample)], default=0) if not header else len(header)
    cells = [[row[index].strip() for row in sample if index < len(row)] for index in range(width)]
    labels = [header[index].strip() if index < len(header) else "" for index in range(width)]
    known = {_word(each): field for field in fields for each in (field.key, field.label)}
    named = [_by_header(label, known) for label in labels]
    for index, role in enumerate(named):
        if role == "consent_at" and not all(_is_moment(cell, notation) for cell in cells[index]):
            named[index] = ""
    unfit = [
        str(role) if isinstance(role, CustomField) and not _fits(role, column, notation) else ""
        for role, column in zip(named, cells, strict=True)
    ]
    roles = [f"attribute:{role.key}" if isinstance(role, CustomField) else role for role in named]
    guesses = _guesses(labels, cells, roles, notation)
    return [
        Column(
            index,
            labels[index][:80] or f"Column {index + 1}",
            cells[index][:EXAMPLES],
            "" if unfit[index] else guesses[index],
            unfit[index],
        )
        for index in range(width)
    ]


def mark_of(columns: Sequence[Column]) -> str:
    """What files have in common that name the same columns in the same order, whatever the case."""
    labels = "\0".join(column.label.casefold() for column in columns)
    return hashlib.sha256(labels.encode()).hexdigest()


def _guesses(labels: list[str], cells: list[list[str]], named: list[str], notation: str) -> list[str]:
    guesses, words = list(named), list(map(_word, labels))
    left_out = TECHNICAL | EXPORTED if EXPORTED_ALWAYS.issubset(words) else TECHNICAL
    if "email" not in guesses:
        shares = [_address_share(column) for column in cells]
        if shares and max(shares) >= 0.5:
            guesses[shares.index(max(shares))] = "email"
    if {"confirmtime", "optintime"}.issubset(words):  # Mailchimp's; the former is when they agreed to the end
        guesses[words.index("optintime")] = ""
    if "first_name" in guesses and "last_name" not in guesses and "name" in guesses:
        guesses[guesses.index("name")] = "last_name"  # Vorname; Name
    for index, guess in enumerate(guesses):
        if guess and guess in guesses[:index]:
            guesses[index] = ""  # each role once
        elif not guess and labels[index] and any(cells[index]) and words[index] not in left_out:
            guesses[index] = f"new:{values.guess_type(cells[index], notation)}"
    return guesses


def _by_header(label: str, known: dict[str, CustomField]) -> str | CustomField:
    word = _word(label)
    role = next((role for role, words in WORDS.items() if word in words), "")
    return role or (known.get(word, "") if word else "")


def _fits(field: CustomField, cells: list[str], notation: str) -> bool:
    """Whether at most half of the filled cells would refuse their row."""
    held = [cell for cell in cells if cell.lower() not in values.NOTHING]
    return 2 * sum(_refuses(field, cell, notation) for cell in held) <= len(held)


def _is_moment(cell: str, notation: str) -> bool:
    try:
        values.moment(cell, notation, datetime.UTC)
    except values.NotThat:
        return False
    return True


def _refuses(field: CustomField, cell: str, notation: str) -> bool:
    try:
        value = values.parse(cell, field.type, notation)
        if value is not None:
            fitting.fit(field, value)
    except (values.NotThat, fitting.Unfit):
        return True
    return False


def _address_share(cells: list[str]) -> float:
    held = [cell for cell in cells if cell]
    return sum(bool(ADDRESS.search(cell)) for cell in held) / len(held) if held else 0


def key_of(label: str, taken: Collection[str]) -> str:
    """A key for merge tags, {{ contact.KEY }}, that no other field has."""
    base = slugify(label).replace("-", "_").strip("_")[:50] or "field"
    base = f"field_{base}" if base[0].isdigit() else base
    key, number = base, 2
    while key in taken or key in RESERVED_KEYS:
        key, number = f"{base}_{number}", number + 1
    return key
