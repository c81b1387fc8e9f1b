"""The mold gives every recipient a correct message, whatever stands in names, subjects and bodies."""

import contextlib
import email
import email.policy
import string
from dataclasses import replace
from email.utils import parseaddr

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contacts.models import Contact, List
from delivery import liquid
from delivery.actions import launch, send_test
from delivery.content import Content
from delivery.links import read_message_token, read_token
from delivery.liquid import TemplateProblem
from delivery.pipeline.mold import Frame, Mold, Recipient
from delivery.pipeline.molds import frame_of, mold_of
from delivery.pipeline.work import work_slice
from tests.builders import a_list

FRAME = Frame(7, 3, "Acme", "1 High Street", "Spring")


def a_mold(**changes) -> Mold:
    parts = {
        "subject": "Hello {{ contact.first_name }}",
        "html": "<p>Hi {{ contact.name }}</p>",
        "text": "Hi",
    }
    parts |= {"from_name": "Acme", "from_email": "news@acme.example"}
    return Mold(Content(**{**parts, **changes}), FRAME)


def read(octets: bytes):
    assert b"\n" not in octets.replace(b"\r\n", b""), "only CRLF line ends"
    assert max(map(len, octets.split(b"\r\n"))) <= 998
    assert b"\r\n." not in octets, "no line needs its dot doubled"
    return email.message_from_bytes(octets, policy=email.policy.default)


def body(message, kind: str) -> str:
    return message.get_body((kind,)).get_content().replace("\r\n", "\n")


def test_a_message_carries_the_headers_that_receivers_ask_for():
    message = read(a_mold(reply_to="desk@acme.example").fill(Recipient(5, "eve@example.com", "Eve", "Smith")))
    assert message["To"] == "Eve Smith <eve@example.com>"
    assert message["From"] == "Acme <news@acme.example>"
    assert message["Reply-To"] == "desk@acme.example"
    assert message["Subject"] == "Hello Eve"
    assert message["Message-ID"].endswith("@acme.example>")
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert message["List-Unsubscribe"].strip("<>").endswith("/one-click/")
    assert message["List-Id"] == "Acme <w3.acme.example>"
    assert message["Feedback-ID"] == "7:3:campaign:volley"
    assert message["Date"].datetime is not None


@pytest.mark.parametrize(
    "name", ["News", "News & more, weekly", "Grüße aus Köln", "x" * 100, "a\r\nBcc: evil", '"\\']
)
def test_the_list_of_a_message_has_a_name_of_its_own(name):
    mold = Mold(Content("Hi", "", "Hi", "Acme", "news@acme.example"), replace(FRAME, sent_to=(9, name)))
    phrase, address = parseaddr(read(mold.fill(Recipient(5, "eve@example.com")))["List-Id"])
    assert address == "l9.w3.acme.example"
    assert phrase == " ".join(name.split())


@pytest.mark.django_db
def test_a_mailing_to_one_list_is_that_lists_and_to_several_the_workspaces(
    workspace, people, news, account, send_to_news
):
    people(1)
    offers = a_list(workspace, "Offers Q3", public_name="Offers")
    content = Content("Hi", "", "{{ list.name }}", "Acme", "news@acme.example")

    def list_id(mailing):
        return str(read(mold_of(mailing).fill(Recipient(1, "eve@example.com")))["List-Id"])

    def launched(*lists):
        everybody, ids = Contact.objects.filter(workspace=workspace), [each.pk for each in lists]
        return launch(
            workspace=workspace,
            name="x",
            account=account,
            content=content,
            recipients=everybody,
            list_ids=ids,
        )

    whole = f"w{workspace.pk}.acme.example>"
    one = launched(offers)
    assert list_id(one) == f"Offers <l{offers.pk}.{whole}"
    assert list_id(launched(news, offers)) == list_id(launched()) == f"{workspace.name} <{whole}"
    test = send_test(
        workspace=workspace,
        name="x",
        account=account,
        content=content,
        to=["a@b.example"],
        sample=None,
        confirms=news,
    )
    assert list_id(test) == f"News <l{news.pk}.{whole}"
    List.objects.filter(pk=offers.pk).update(public_name="Bargains")
    assert list_id(type(one).objects.get(pk=one.pk)).startswith("Offers "), "as it was at the launch"


def test_the_message_id_is_the_same_at_each_try_and_another_for_each_recipient():
    mold = a_mold()
    ids = [read(mold.fill(Recipient(number, "eve@example.com")))["Message-ID"] for number in (5, 5, 6)]
    assert ids[0] == ids[1] != ids[2]


@given(
    first=st.text(max_size=60),
    last=st.text(max_size=300),
    word=st.text(max_size=2000),
)
def test_any_unicode_arrives_as_it_was_written(first, last, word):
    mold = a_mold(
        subject="{{ contact.word }}",
        html="<p>é{{ contact.word }}.</p>\n.{{ contact.first_name }}",
        text="= {{ contact.word }} \n.\n{{ contact.last_name }}",
    )
    message = read(mold.fill(Recipient(1, "eve@example.com", first, last, {"word": word})))
    lines = word.replace("\r\n", "\n").replace("\r", "\n")
    assert message["Subject"].split() == _printable(" ".join(word.split())).split() or _odd(word)
    assert body(message, "plain").startswith(f"= {_utf8(lines)} \n.\n")
    assert "é" + _utf8(
        lines.replace("&", "&amp;")
        .replace("<", "&lt;")
        .replace(">", "&gt;")
        .replace('"', "&#34;")
        .replace("'", "&#39;")
    ) in body(message, "html")


def _utf8(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def _printable(text: str) -> str:
    return _utf8(text)


def _odd(word: str) -> bool:
    """Controls and line separators that Python's own header parser changes when reading."""
    return any(not character.isprintable() for character in word)


def test_no_name_or_subject_can_add_a_header():
    mold = a_mold(subject="{{ contact.evil }}", from_name="A\r\nBcc: x@y.example")
    message = read(
        mold.fill(
            Recipient(1, "eve@example.com", "E\r\nBcc: a@b.example", "", {"evil": "x\r\nBcc: c@d.example"})
        )
    )
    assert message["Bcc"] is None
    assert message["X"] is None


def test_contacts_names_are_escaped_in_html_and_plain_in_text():
    mold = a_mold(html="<p>{{ contact.first_name }}</p>", text="{{ contact.first_name }}")
    message = read(mold.fill(Recipient(1, "eve@example.com", "<b>&")))
    assert "<p>&lt;b&gt;&amp;</p>" in body(message, "html")
    assert body(message, "plain").strip() == "<b>&"


def test_what_is_assigned_in_one_slot_is_known_in_the_next():
    mold = a_mold(
        html="{% assign x = 'one' %}<p>static</p>{{ x }}{% if contact.first_name == 'Eve' %}!{% else %}?{% endif %}"
    )
    assert "<p>static</p>one!" in body(read(mold.fill(Recipient(1, "eve@example.com", "Eve"))), "html")


@pytest.mark.parametrize(
    "printed",
    [
        "{{ '<!--' }}",
        "{{ 'PCEtLQ==' | base64_decode }}",
        "{{ '%3C!--' | url_decode }}",
        "{{ '<!--' | escape }}",
        "{{ '&lt;!--' | escape_once }}",
        "{{ '<!--' | safe }}",
        "{% echo '<!--' %}",
        "{% cycle '<!--' %}",
        "{% liquid\necho '<!--' %}",
        "{% capture x %}<!--{% endcapture %}{{ x }}",
        "{{ contact.evil }}",
        "{{ contact.evil | newline_to_br }}",
    ],
)
def test_in_html_a_merge_tag_prints_text_and_never_markup(printed):
    mold = a_mold(html=f"<p>{printed}</p>", text="{{ '<!--' }}")
    message = read(mold.fill(Recipient(1, "eve@example.com", attributes={"evil": "<!--"})))
    assert body(message, "html") == "<p>&lt;!--</p>\n"
    assert body(message, "plain") == "<!--\n"


def test_lines_of_a_value_may_be_lines_in_html():
    mold = a_mold(
        html="{{ contact.lines | newline_to_br }}|{{ contact.lines | newline_to_br | slice: 0, 4 }}"
    )
    message = read(mold.fill(Recipient(1, "eve@example.com", attributes={"lines": "a\nb&\r\nc"})))
    assert body(message, "html") == "a<br />\nb&amp;<br />\nc|a<br />\nb&amp;\n"


def test_the_ends_of_the_parts_are_filled_in_apart():
    mold = a_mold(
        html="{% assign x = 1 %}{% assign city = 'Rome' %}<p>x</p>",
        html_end="<i>{{ x }}{{ city }}{{ unsubscribe_url }}</i></body>",
        text="{% assign x = 1 %}Hi\n",
        text_end="{{ x }}{{ workspace.postal_address }}\n",
    )
    recipient = Recipient(1, "eve@example.com")
    message = read(mold.fill(recipient))
    assert body(message, "html").startswith("<p>x</p>\n<i>http")
    assert body(message, "plain") == "Hi\n1 High Street\n"
    assert mold.render(recipient).html == "<p>x</p>\n<i>#unsubscribe</i></body>"
    assert mold.render(recipient).text == body(message, "plain")


@pytest.mark.parametrize("part", ["subject", "html", "text", "html_end"])
def test_no_part_calls_something_else_by_the_name_of_what_volley_fills_in(part):
    with pytest.raises(TemplateProblem, match="Volley’s own"):
        a_mold(**{part: "{% if contact.x %}\n{% assign unsubscribe_url = '' %}{% endif %}"})


@pytest.mark.django_db
def test_what_a_mailing_says_of_the_workspace_is_frozen_at_its_launch(
    workspace, people, send_to_news, server
):
    people(1)
    content = Content(
        "Hi", "<p>x</p>", "{{ workspace.name }}, {{ workspace.postal_address }}", "A", "a@acme.example"
    )
    name, address = workspace.name, workspace.postal_address
    mailing = send_to_news(content)
    workspace.name, workspace.postal_address = "Other", "2 Low Street"
    workspace.save()
    mailing = type(mailing).objects.get(pk=mailing.pk)
    recipient = Recipient(1, "eve@example.com")
    assert mold_of(mailing).render(recipient).text == f"{name}, {address}\n"
    work_slice(mailing.pk)
    assert f"{name}, {address}" in body(read(server.messages[0][1]), "plain")
    mailing.frame = {}  # as in mailings of an older Volley
    assert frame_of(mailing).postal_address == "2 Low Street"


def test_filling_equals_rendering_the_whole_template():
    source = "".join(
        f"<p>{letter} {{{{ contact.first_name | default: 'there' }}}}, {{{{ contact.n }}}}</p>\n"
        for letter in string.ascii_letters
    )
    mold = a_mold(html=source)
    recipient = Recipient(1, "eve@example.com", "Zoë", "", {"n": 7})
    assert body(read(mold.fill(recipient)), "html") == mold.render(recipient).html


@pytest.mark.parametrize(
    ("source", "line"),
    [("a\n{{ contact.x | nope }}", 2), ("a\n\n{% if x %}b", 3), ("{{ x | ", 1), ("\n{% include 'x' %}", 2)],
)
def test_a_template_error_names_its_line(source, line):
    with pytest.raises(TemplateProblem) as problem:
        a_mold(html=source)
    assert problem.value.line == line
    assert problem.value.field == "content"


def test_a_loop_without_end_is_stopped():
    mold = a_mold(html="{% for a in (1..4000) %}{% for b in (1..4000) %}x{% endfor %}{% endfor %}")
    with pytest.raises(TemplateProblem):
        mold.fill(Recipient(1, "eve@example.com"))


def test_an_international_domain_goes_out_in_ascii():
    message = a_mold().fill(Recipient(1, "eve@bücher.example"))
    assert b"<eve@xn--bcher-kva.example>" in message or b"To: eve@xn--bcher-kva.example" in message


@pytest.mark.parametrize(
    "name", [".", "..", ".hidden", "..Anna", "a\n.b\n..c\n.", "." * 200, "x" * 75 + ".y." + "." * 90]
)
def test_dots_that_begin_a_line_arrive_and_need_no_doubling(name):
    mold = a_mold(
        html="<pre>{{ contact.first_name }}</pre>",
        text=".\n..\n" + "." * 300 + "\n{{ contact.first_name }}\n",
    )
    octets = mold.fill(Recipient(1, "eve@example.com", name))
    message = read(octets)
    assert f"<pre>{name}</pre>" in body(message, "html")
    assert body(message, "plain") == ".\n..\n" + "." * 300 + f"\n{name}\n"
    assert max(map(len, octets.partition(b"\r\n\r\n")[2].split(b"\r\n"))) <= 76 + 200


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("{{ contact.code | base64_decode }}", "été"),
        ("{{ contact.code | sum }}", "abc"),
        ("{{ contact.code | ceil }}", float("inf")),
        ("{{ contact.code | round: 400 }}", 1e300),
        ("{{ contact.code | date: '%' }}", "\ud800"),
    ],
)
def test_whatever_a_filter_makes_of_a_value_is_one_recipients_problem(source, value):
    mold = a_mold(html=f"<p>{source}</p>")
    for contact in (
        Recipient(1, "eve@example.com", attributes={"code": value}),
        Recipient(2, "tom@example.com"),
    ):
        said = ""
        try:
            mold.fill(contact)
        except TemplateProblem as problem:
            said = problem.message
        assert "Traceback" not in said


def test_a_slot_is_remembered_by_its_values_and_never_mixed_up():
    mold = a_mold(
        html="<p>{{ contact.first_name | default: 'you' }} {{ contact.points }} {{ contact.ok }}</p>"
    )
    people = [
        ("Anna", 1, True),
        ("Anna", True, 1),
        ("Anna", 1.0, 1),
        ("", None, None),
        (None, "1", "true"),
        ("<b>", 0, False),
    ]
    for _ in range(2):
        for number, (name, points, ok) in enumerate(people):
            contact = Recipient(
                number, "eve@example.com", name or "", attributes={"points": points, "ok": ok}
            )
            fresh = a_mold(html=mold.html.source)
            assert body(read(mold.fill(contact)), "html") == body(read(fresh.fill(contact)), "html")


def test_a_slot_that_nearly_everybody_has_for_themselves_is_not_remembered():
    mold = a_mold(html="<p>{{ contact.last_name }} {{ contact.city }}</p>")
    for number in range(5000):
        octets = mold.fill(Recipient(number, "eve@example.com", "Eve", f"No {number}", {"city": "Berlin"}))
    assert b"No 4999" in octets.replace(b"=\r\n", b"").replace(b"=20", b" ")
    slots = [piece for piece in mold.html.pieces if not isinstance(piece, bytes)]
    assert sum(len(slot._known or ()) for slot in slots) <= 2_000


def test_one_budget_holds_for_all_slots_of_a_part():
    loop = "{% for n in (1..4000) %}" + "x" * 300 + "{% endfor %}"
    mold = a_mold(html=f"<p>{loop}</p><p>{{{{ contact.first_name }}}}</p>")
    assert mold.fill(Recipient(1, "eve@example.com", "y" * 500_000))
    too_long = Recipient(1, "eve@example.com", "y" * 900_000)
    with pytest.raises(TemplateProblem, match="limit"):
        mold.fill(too_long)


def test_a_message_id_does_not_unsubscribe():
    message = read(a_mold().fill(Recipient(5, "eve@example.com")))
    token = message["Message-ID"].strip("<>").partition("@")[0]
    assert read_message_token(token) == (7, 5)
    assert read_token(token) is None
    link = message["List-Unsubscribe"].strip("<>").split("/")[-3]
    assert read_token(link) == (7, 5)
    assert read_message_token(link) is None


def test_what_liquid_answers_for_any_object_is_nobody_elses():
    mold = a_mold(html="<p>{{ contact.first }} {{ contact.size }}</p>")
    anna = mold.fill(Recipient(1, "anna@example.com", "Anna", attributes={"city": "Berlin"}))
    tom = mold.fill(Recipient(2, "tom@example.com", "Tom", attributes={"street": "Rome", "x": 1}))
    assert "Berlin" in body(read(anna), "html")
    assert "Berlin" not in body(read(tom), "html")


@pytest.mark.parametrize(
    ("source", "fields"),
    [
        ("no tag at all", []),
        (
            "{{ contact.first_name }} {{ contact.email | upcase }} {{ unsubscribe_url }} {{ campaign.name }}",
            [],
        ),
        (
            "{{ contact.city }} {{ contact['zip code'] | default: contact.street }}",
            ["city", "street", "zip code"],
        ),
        ("{% if contact.points > 3 %}{{ contact.address.town }}{% endif %}", ["address", "points"]),
        ("{% for each in contact.tags %}{{ each }}{% endfor %}", ["tags"]),
        ("{% assign name = 'city' %}{{ contact[name] }}", None),
        ("{% for field in contact %}{{ field }}{% endfor %}", None),
        ("{% assign someone = contact %}{{ someone.city }}", None),
        ("{{ contact.size }}", None),
    ],
)
def test_the_attributes_that_are_loaded_are_those_that_the_content_reads(source, fields):
    for part in ("subject", "html", "text"):
        assert a_mold(**{part: source}).attributes == fields


def test_a_message_is_the_same_with_the_attributes_that_were_loaded_alone():
    everything = {"city": "Berlin", "points": 0, "none": None, "secret": "x"}
    source = (
        "<p>{{ contact.city }}|{{ contact.points }}|{{ contact.none }}|{{ contact.gone | default: 'no' }}</p>"
    )
    mold = a_mold(html=source)
    assert mold.attributes == ["city", "gone", "none", "points"]
    loaded = {name: everything.get(name) for name in mold.attributes}
    whole, part = (
        mold.fill(Recipient(1, "eve@example.com", attributes=each)).partition(b"Message-ID")[2]
        for each in (everything, loaded)
    )
    assert whole == part


@pytest.mark.parametrize("contact", [{}, {"x": None}, {"x": "2024-05-01"}, {"x": 7}, {"x": ["b", "a"]}])
@pytest.mark.parametrize("name", sorted(liquid.parse("", field="html", html=True).env.filters))
def test_no_filter_tells_an_attribute_that_was_not_loaded_from_one_that_is_not_there(name, contact):
    """Nobody reads “Dear None”: what is loaded as nothing is as absent as in the preview."""
    for source in (f"{{{{ contact.x | {name} }}}}", f"{{{{ 'Dear ' | {name}: contact.x }}}}"):
        try:
            mold = a_mold(html=f"<p>{source}</p>")
        except TemplateProblem:
            continue  # the filter takes more, or is not allowed
        loaded = {key: contact.get(key) for key in mold.attributes}
        said = []
        for attributes in (contact, loaded):
            fresh = a_mold(html=f"<p>{source}</p>")  # which remembers nothing
            try:
                said.append(
                    body(read(fresh.fill(Recipient(1, "eve@example.com", attributes=attributes))), "html")
                )
            except TemplateProblem as problem:
                said.append(problem.message)
        assert said[0] == said[1]
        assert "None" not in said[0]


def test_content_that_reads_very_many_attributes_gets_all_of_them():
    tags = "".join(f"{{{{ contact.field{n} }}}}" for n in range(51))
    assert a_mold(html=tags).attributes is None
    assert len(a_mold(html=tags.replace("{{ contact.field50 }}", "")).attributes) == 50


def test_a_tag_of_a_name_within_a_name_is_rendered_or_refused_in_words():
    with contextlib.suppress(TemplateProblem):
        a_mold(html="{{ [contact.field].city }}").fill(
            Recipient(1, "eve@example.com", attributes={"field": "x"})
        )
