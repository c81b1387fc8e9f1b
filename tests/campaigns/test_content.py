"""Content compiled: MJML and HTML with merge tags, to a message's HTML and text."""

import time

import pytest

from campaigns import starters
from campaigns.content import compile_content
from delivery.liquid import TemplateProblem
from delivery.preview import preview
from tests.builders import a_campaign, a_contact


def mjml(inside):
    return f"<mjml>\n<mj-body>\n<mj-section><mj-column>\n{inside}\n</mj-column></mj-section>\n</mj-body>\n</mjml>"


@pytest.fixture
def read(workspace):
    """read(source, kind="mjml") gives the message as a contact called Zoë sees it."""
    zoe = a_contact(workspace, "zoe@example.com", first_name="Zoë <3", city="Berlin")

    def fill(source, kind="mjml", **fields):
        campaign = a_campaign(workspace, content=source, content_kind=kind, **fields)
        return preview(compile_content(campaign), workspace=workspace, name="x", contact=zoe)

    return fill


def test_merge_tags_survive_in_text_attributes_and_addresses(read):
    link = '<a href="https://acme.example/?c={{ contact.city | default: "none" | url_encode }}&b=1">{{ contact.city }}</a>'
    message = read(mjml(f'<mj-text color="{{{{ contact.color | default: "red" }}}}">{link}</mj-text>'))
    assert 'href="https://acme.example/?c=Berlin&b=1">Berlin<' in message.html
    assert "color:red" in message.html
    assert "Berlin (https://acme.example/?c=Berlin&b=1)" in message.text


def test_who_a_contact_is_is_escaped_in_html_and_plain_in_text(read):
    message = read(mjml("<mj-text>Hi {{ contact.first_name }}</mj-text>"))
    assert "Hi Zoë &lt;3" in message.html
    assert "Hi Zoë <3" in message.text


def test_conditions_may_hold_signs_and_stand_around_whole_sections(read):
    section = "<mj-section><mj-column><mj-text>{}</mj-text></mj-column></mj-section>"
    condition = '{{% if 2 < 1 and contact.city != "<b>" %}}{}{{% else %}}{}{{% endif %}}'
    both = condition.format(section.format("small"), section.format("large"))
    message = read(f"<mjml><mj-body>{both}</mj-body></mjml>")
    assert "large" in message.html
    assert "small" not in message.html
    assert "large" in message.text
    assert "small" not in message.text


def test_merge_tags_among_the_attributes_of_html_work(read):
    source = '<mj-text><b {% if contact.city == "Berlin" %}class="here"{% endif %}>x</b></mj-text>'
    assert '<b class="here"' in " ".join(read(mjml(source)).html.split()).replace("<b  ", "<b ")


def test_rows_of_a_table_may_repeat(read):
    rows = "{% for n in (1..3) %}<tr><td>row {{ n }}</td></tr>{% endfor %}"
    for message in (read(f"<table>{rows}</table>", "html"), read(mjml(f"<mj-table>{rows}</mj-table>"))):
        assert [f"row {n}" in message.html for n in (1, 2, 3)] == [True] * 3
        assert message.html.index("<table") < message.html.index("row 1") < message.html.rindex("</table>")
        assert "row 1\nrow 2\nrow 3" in message.text.replace("\n\n", "\n")


def test_styles_of_html_go_onto_its_elements_and_media_queries_stay(read):
    style = "<style>.a { color: {{ contact.color | default: 'teal' }} } @media (max-width: 9px) { .a { margin: 0 } }</style>"
    html = read(f"{style}<p class='a'>x &amp; y</p>", "html").html
    assert 'style="color: teal;"' in html
    assert "@media (max-width: 9px)" in html
    assert "x &amp; y" in html


def test_no_stylesheet_is_fetched_or_read_from_disk(read, tmp_path):
    (tmp_path / "a.css").write_text("p { color: orange }")
    html = read(f'<link rel="stylesheet" href="file://{tmp_path}/a.css"><p>x</p>', "html").html
    assert "orange" not in html


@pytest.mark.parametrize("kind", ["mjml", "html"])
def test_the_preview_text_is_hidden_at_the_start_and_escaped(read, kind):
    source = mjml("<mj-text>Body</mj-text>") if kind == "mjml" else "<p>Body</p>"
    message = read(source, kind, preheader="A < B, {{ contact.city }}")
    assert (
        message.html.index("display:none")
        < message.html.index("A &lt; B, Berlin")
        < message.html.index("Body")
    )
    assert "Berlin" not in message.text


@pytest.mark.parametrize("kind", ["mjml", "html"])
@pytest.mark.parametrize("lost", ["", "<!-- {{ unsubscribe_url }} {{ workspace.postal_address }} -->"])
def test_the_unsubscribe_link_and_the_address_cannot_be_left_out(read, kind, lost):
    message = read(mjml(f"<mj-text>Hi {lost}</mj-text>") if kind == "mjml" else f"<p>Hi {lost}", kind)
    assert '<a href="#unsubscribe"' in message.html
    assert "1 High Street" in message.html.partition("Hi")[2]
    assert "Unsubscribe: #unsubscribe" in message.text
    assert "1 High Street" in message.text


def test_a_footer_of_ones_own_is_not_doubled(read):
    message = read(
        "<p>1 High Street,<br>12345 Springfield</p><a href='{{ unsubscribe_url }}'>Leave</a>", "html"
    )
    assert (message.html.count("#unsubscribe"), message.html.count("High Street")) == (1, 1)
    assert (message.text.count("#unsubscribe"), message.text.count("High Street")) == (1, 1)


def test_a_link_that_only_some_would_see_does_not_count(read):
    html = read("{% if contact.vip %}<a href='{{ unsubscribe_url }}'>Leave</a>{% endif %}", "html").html
    assert '<a href="#unsubscribe"' in html


def test_text_has_lists_and_pictures_and_no_hidden_words(read):
    message = read(
        "<h1>Hi</h1><ul><li>a<li>b</ul><p style='display: none'>secret</p><img src=x alt=Beans>", "html"
    )
    assert message.text.startswith("Hi\n\n- a\n- b\n\nBeans")


@pytest.mark.parametrize(
    ("source", "line", "words"),
    [
        ("", None, "no MJML"),
        ("<p>Hello</p>", 1, "choose HTML"),
        (mjml("<mj-text>a < b</mj-text>"), 4, "write &lt;"),
        (mjml("<mj-text>\n<p>x</mj-text>"), 5, "</mj-text> stands where </p> should"),
        (mjml("<mj-txt>x</mj-txt>"), 4, "no element <mj-txt>"),
        (mjml("{% if a %}\n\n{% endif %}<mj-foo/>"), 6, "no element <mj-foo>"),
        (mjml("{{ a\n| upcase }}<mj-foo/>"), 5, "no element <mj-foo>"),
        (mjml("<mj-text color=red>x</mj-text>"), 4, "quotation marks"),
        (mjml("<mj-text color='red>x</mj-text>"), 4, "quotation mark"),
        (mjml("<mj-text {% if a %}color='red'{% endif %}>x</mj-text>"), 4, "inside a value"),
        (mjml("<mj-social>{% if a %}{% endif %}</mj-social>"), 4, "directly inside <mj-social>"),
        (mjml("<!-- x"), 4, "comment is never closed"),
        (mjml("<b>" * 200), 4, "nested more than"),
        (mjml("<mj-include path='/etc/passwd' />"), 4, "<mj-include> is not possible"),
        (mjml("<mj-text>{% if a %}</mj-text>"), 4, "endif"),
        (mjml("<mj-text>{{ a | nonsense }}</mj-text>"), 4, "nonsense"),
        ("<mjml>\n<mj-body>", 2, "<mj-body> is never closed"),
    ],
)
def test_mistakes_in_mjml_are_named_with_their_line(workspace, source, line, words):
    with pytest.raises(TemplateProblem) as caught:
        compile_content(a_campaign(workspace, content=source))
    assert (caught.value.field, caught.value.line) == ("content", line)
    assert words in caught.value.message


@pytest.mark.parametrize(
    "source",
    [
        "<p>{% if a %}",
        "<td {% if a %}class='x'>{% else %}>{% endif %}",
        "<div>" * 50_000,
        "x" * 500_001,
        "<a '" * 6000,
    ],
)
def test_html_that_cannot_be_read_is_refused_in_words_and_soon(workspace, source):
    started = time.monotonic()
    with pytest.raises(TemplateProblem) as caught:
        compile_content(a_campaign(workspace, content=source, content_kind="html"))
    assert caught.value.field == "content"
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("field", ["subject", "preheader"])
def test_a_mistake_outside_the_content_names_its_field(workspace, field):
    with pytest.raises(TemplateProblem) as caught:
        compile_content(a_campaign(workspace, **{field: "Hi {{ contact.first_name"}))
    assert caught.value.field == field


@pytest.mark.parametrize("starter", starters.STARTERS)
def test_starters_compile_and_need_no_footer(read, starter):
    message = read(starters.source(starter.key))
    assert message.html.count("#unsubscribe") == message.text.count("#unsubscribe") == 1
    assert "Zoë" in message.text
    assert "<br" not in message.text
    assert len(message.html) < 30_000
    assert "googleapis" not in message.html, "a recipient's mail program asks nobody for letters"
