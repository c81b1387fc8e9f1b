"""Content compiled: MJML and HTML with merge tags, to a message's HTML and text."""

import email
import email.policy
import re
import time
from html.parser import HTMLParser

import pytest
from selectolax.lexbor import LexborHTMLParser

from campaigns import starters
from campaigns.content import compile_content
from delivery import links
from delivery.liquid import TemplateProblem
from delivery.pipeline.mold import Frame, Mold, Recipient
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
    assert 'href="https://acme.example/?c=Berlin&amp;b=1">Berlin<' in message.html
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


# Some of whom things are known, one of them nothing good.
PEOPLE = [
    Recipient(1, "eve@example.com"),
    Recipient(2, "vic@example.com", "Vic", "<!--", {"vip": True, "css": "display:none", "list": [1]}),
    Recipient(3, "tom@example.com", "Tom", "", {"vip": False, "css": 'hidden title="><!--'}),
]
ADDRESS = "1 High Street"
URL = "{{ unsubscribe_url }}"
BOTH = "<p>{{ workspace.postal_address }}</p><a href='{{ unsubscribe_url }}'>Leave</a>"
WRITTEN = "<p>1 High Street,<br>12345 Springfield</p><a href='{{ unsubscribe_url }}'>Leave</a>"


@pytest.fixture
def sent(workspace):
    """sent(source, kind) gives what some recipients get: [(HTML, text, address of their unsubscribe link)]."""

    def send(source, kind="html", **fields):
        campaign = a_campaign(workspace, content=source, content_kind=kind, **fields)
        mold = Mold(compile_content(campaign), Frame(7, 3, "Acme", workspace.postal_address, "Spring"))
        return [_received(mold, recipient) for recipient in PEOPLE]

    return send


def _received(mold, recipient):
    message = email.message_from_bytes(mold.fill(recipient), policy=email.policy.default)
    url = links.unsubscribe_url(links.unsubscribe_token(7, recipient.number))
    html, text = (message.get_body((kind,)).get_content().replace("\r\n", "\n") for kind in ("html", "plain"))
    shown = mold.render(recipient)
    assert (shown.html, shown.text) == (
        html.replace(url, "#unsubscribe").replace(links.preferences_url(url), "#preferences"),
        text.replace(url, "#unsubscribe").replace(links.preferences_url(url), "#preferences"),
    ), "the preview shows what is sent"
    return html, text, url


class _Reader(HTMLParser):
    """What a simple reader would show: links and words outside of what is hidden."""

    UNSEEN = frozenset(
        {"head", "title", "style", "script", "template", "noscript", "textarea", "select", "svg"}
    )
    VOID = frozenset({"br", "img", "meta", "link", "hr", "input", "frame", "col", "wbr"})

    def __init__(self, html):
        super().__init__()
        self.open, self.words, self.links = [], "", []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        if tag in self.VOID:
            return
        style = (given.get("style") or "").replace(" ", "").lower()
        hidden = tag in self.UNSEEN or "hidden" in given or "display:none" in style
        self.open.append((tag, hidden))
        if tag == "a" and not self.is_hidden:
            self.links.append(given.get("href"))

    def handle_endtag(self, tag):
        if tag in [name for name, _hidden in self.open]:
            while self.open.pop()[0] != tag:
                pass

    def handle_data(self, data):
        self.words += "" if self.is_hidden else data

    @property
    def is_hidden(self):
        return any(hidden for _name, hidden in self.open)


def has_footer(html, url):
    """Volley's footer stands in the page itself, last and in nothing, and no rule of the content hides it."""
    last = LexborHTMLParser(html).css_first("body > :last-child")
    if last is None or last.tag != "div" or "display:block!important" not in (last.attributes["style"] or ""):
        return False
    reader = _Reader(html)
    link = last.css_first("a")
    assert link is None or (link.attributes["href"], link.text()) == (url, "Unsubscribe")
    assert link is None or "display:inline!important" in link.attributes["style"]
    assert link is None or url in reader.links
    assert ADDRESS not in last.text() or ADDRESS in reader.words
    return bool(link) and ADDRESS in last.text()


def text_has_both(text, url):
    return bool(re.search(rf"(?<![^\s(]){re.escape(url)}(?![^\s)])", text)) and ADDRESS in text


UNDONE = [  # what would print neither, in HTML and text
    "<p>x</p>",
    "<p>{{ unsubscribe_url | slice: 0, 0 }}{{ workspace.postal_address | truncate: 0, '' }}</p>",
    "<a href='{{ unsubscribe_url | slice: 0, 0 }}'>Leave</a>{{ workspace.postal_address | remove: '1' }}",
    "<a href='{{ unsubscribe_url.x }}'>Leave</a>{{ workspace.postal_address.x }}",
    "<a href='{{ unsubscribe_url-x }}'>Leave</a>{{ workspace.postal_address-x }}",
    "<a href='{{ unsubscribe_url- }}'>Leave</a>{{ workspace.postal_address- }}",
    f"{{% raw %}}{BOTH}{{% endraw %}}",
    f"<!-- {URL} {{{{ workspace.postal_address }}}} -->",
    f"{{% comment %}}{BOTH}{{% endcomment %}}",
    f"{{% if contact.vip %}}{BOTH}{{% endif %}}",
    f"{{% if contact.vip %}}{WRITTEN}{{% endif %}}",
    f"{{% unless contact.vip %}}{BOTH}{{% else %}}x{{% endunless %}}",
    f"{{% for x in contact.list %}}{BOTH}{{% endfor %}}",
    f"{{% case contact.vip %}}{{% when true %}}{BOTH}{{% endcase %}}",
    f"<table>{{% if contact.vip %}}<tr><td>{BOTH}</td></tr>{{% endif %}}</table>",
    f"{{% capture x %}}{URL}{{{{ workspace.postal_address }}}}{{% endcapture %}}<p>x</p>",
    f"<p title='{URL} {{{{ workspace.postal_address }}}}' data-a='1 High Street, 12345 Springfield'>x</p>",
    f"<head><title>{URL} {{{{ workspace.postal_address }}}}</title></head>",
    f"<div style='display:none'>{BOTH}</div>",
    f"<div style='display : NONE !important'>{WRITTEN}</div>",
    f"<textarea>{BOTH}</textarea>",
    f"<style>p, a {{ display: none !important }}</style>{BOTH}",
]
SWALLOWED = [  # what would take in whatever follows it
    "<p>x</p>{{ '<!--' }}",
    "<p>x</p>{{ '<!' | append: '--' }}{{ 'PCEtLQ==' | base64_decode }}{{ '%3C!--' | url_decode }}",
    "<p>x</p>{% echo '<!--' %}{% cycle '<!--', 'x' %}{% liquid\necho '<!--' %}",
    "<p>x</p>{% assign c = '<!--' %}{{ c | escape | escape_once | newline_to_br | safe }}",
    "<p>x</p>{{ contact.last_name }}<i {{ contact.css }}>x</i>",
    "<p>x</p>{% raw %}<!-- {% endraw %}",
    "<div title='{% raw %}\" hidden><!--{% endraw %}'>x",
    '<div hidden>{{ "a\nb" | newline_to_br | slice: 0, 4 }}</div>',
    "<html><body><p>x</p></body></html><!-- </body> -->",
    "<html><body><p>x</p></body></html><!-- </body>",
    "<html title='<body>'><body><p title='</body>'>x</p></body></html>",
    "<p>x</p><!-- x",
    "<p>x</p><div hidden><p style='display:none'><table><tr><td>",
    '<p>x</p><a title="',
    *(
        f"<p>x</p><{tag}>"
        for tag in (
            "style",
            "title",
            "textarea",
            "select",
            "noscript",
            "template",
            "svg",
            "xmp",
            "iframe",
            "b",
        )
    ),
    "<p>x</p>&#123;{ '<!--' }}&#123;% if contact.vip %}<div hidden>&#123;% endif %}",
    "{% if contact.vip %}</body></html><!-- </body> -->{% endif %}<p>x</p>",
    "{% for n in (1..3) %}{% cycle '<tr>', '' %}{% if n == 1 %}<tr>{% endif %}{% endfor %}",
    "<style>div, a { display: none !important; font-size: 0 !important }</style><div>x</div>",
]
UNSEEN = [  # of use in the text, and not in HTML
    *(
        f"<div style='{style}'>{BOTH}</div>"
        for style in (
            "visibility:hidden",
            "font-size:0",
            "font:0/0 a",
            "font-size:1px",
            "opacity:0",
            "display:/**/none !  important",
            "d\\69splay:none",
            "height:0;overflow:hidden",
            "max-height:1px;overflow:hidden",
            "position:absolute;left:-9999px",
            "text-indent:-9999px",
            "margin-left:9999px",
            "transform:scale(0)",
            "clip-path:inset(50%)",
            "mso-hide:all",
            "{{ contact.css }}",
        )
    ),
    f"<div hidden>{BOTH}</div>",
    f"<div {{{{ contact.css }}}}>{BOTH}</div>",
    f"<div {{% if contact.vip %}}hidden{{% endif %}}>{BOTH}</div>",
    f"<div class='{{{{ contact.css }}}}'>{BOTH}</div>",
    f"<details>{BOTH}</details>",
    f"<svg><desc>{BOTH}</desc></svg>",
    "<p style='color:#fff'>{{ workspace.postal_address }}</p><a style='color:white' href='{{ unsubscribe_url }}'>x</a>",
    f"<!--[if !mso]><!--><!--[if mso]>x<![endif]-->{BOTH}<!--<![endif]-->",
    "<img alt='1 High Street, 12345 Springfield'><a href='{{ unsubscribe_url }}'><img alt='Leave'></a>",
    "<img alt='{{ workspace.postal_address }} {{ unsubscribe_url }}'>",
    f"<style>@media all {{ .u {{ display: none !important }} }}</style><div class=u>{BOTH}</div>",
    f"<style>@media all {{ i:not(.v) + p, i ~ a:hover {{ opacity: 0 !important }}</style><b>x</b>{BOTH}",
    f"<style>@media all {{ [title*=x] {{ b {{ }} display: none }} }}</style><div title='{{{{ contact.vip }}}}'>{BOTH}</div>",
    f"<div style='position:fixed;inset:0;background:#fff'>x</div>{BOTH}",
    f"<link rel=stylesheet href='https://x.example/a.css'>{BOTH}",
    f"<style>@import url(https://x.example/a.css);</style>{BOTH}",
    f"<p>Hi {{% if contact.vip %}}<ul><li>x</li></ul>{{% endif %}}</p>{BOTH}",
]


def in_mjml(inside):
    return f"<mjml><mj-body><mj-section><mj-column>{inside}</mj-column></mj-section></mj-body></mjml>"


OF_MJML = [
    in_mjml("<mj-text>x</mj-text>"),
    in_mjml(f"<mj-text><div style='display:none'>{BOTH}</div></mj-text>"),
    in_mjml("<mj-text>{{ '<!--' }}{% raw %}<!-- {% endraw %}</mj-text>"),
    in_mjml("<mj-text><body></body><select></select></mj-text>"),
    in_mjml(f"<mj-text>{{% if contact.vip %}}{BOTH}{{% endif %}}</mj-text>"),
    in_mjml("<mj-text><style>div, td, table { display: none !important }</style></mj-text>"),
    in_mjml("<mj-text><table><tr><td title='{{ unsubscribe_url }}'>x</td></tr></table></mj-text>"),
    f"<mjml><mj-head><mj-title>{URL} {{{{ workspace.postal_address }}}}</mj-title></mj-head><mj-body></mj-body></mjml>",
    f"<mjml><mj-head><mj-preview>{URL} 1 High Street</mj-preview></mj-head><mj-body></mj-body></mjml>",
    f"<mjml><mj-body><mj-raw><div style='display:none'>{BOTH}</div></mj-raw></mj-body></mjml>",
    in_mjml(f"<mj-text>{BOTH}</mj-text>")
    .replace("<mj-section>", "{% if contact.vip %}<mj-section>")
    .replace("</mj-section>", "</mj-section>{% endif %}"),
]


@pytest.mark.parametrize(
    ("kind", "source"),
    [*(("html", source) for source in [*UNDONE, *SWALLOWED]), *(("mjml", source) for source in OF_MJML)],
)
def test_the_link_and_the_address_cannot_be_left_out(sent, kind, source):
    for html, text, url in sent(source, kind):
        assert has_footer(html, url)
        assert text_has_both(text, url)


@pytest.mark.parametrize("source", UNSEEN)
def test_a_link_and_an_address_that_nobody_would_see_do_not_count(sent, source):
    for html, text, url in sent(source):
        assert has_footer(html, url)
        assert text_has_both(text, url)


@pytest.mark.parametrize(
    "preheader",
    [
        "<!--",
        '"><!--',
        "{{ '<!--' }}",
        "&#123;{ '<!--' }}",
        "{% liquid\necho '<!--' %}",
        "{% raw %}</div><!--{% endraw %}",
        "{% capture x %}<!--{% endcapture %}{{ x }}",
    ],
)
@pytest.mark.parametrize("source", ["<p>x</p>", "<html title='<body>'><p>x", in_mjml("<mj-text>x</mj-text>")])
def test_the_preview_text_swallows_nothing(sent, source, preheader):
    kind = "mjml" if source.startswith("<mjml") else "html"
    for html, text, url in sent(source, kind, preheader=preheader):
        assert has_footer(html, url)
        assert text_has_both(text, url)


@pytest.mark.parametrize("name", ["unsubscribe_url", "workspace", "contact", "campaign"])
@pytest.mark.parametrize(
    "written",
    [
        "{{% assign {} = '' %}}",
        "{{% capture {} %}}{{% endcapture %}}",
        "{{% increment {} %}}",
        "{{% decrement {} %}}",
        "{{% liquid\nassign {} = '' %}}",
        "{{% for {} in (1..2) %}}{{% endfor %}}",
        "{{% tablerow {} in (1..2) %}}{{% endtablerow %}}",
        "{{% if contact.vip %}}{{% assign ['{}'] = '' %}}{{% endif %}}",
    ],
)
@pytest.mark.parametrize("field", ["subject", "preheader", "content"])
def test_what_volley_fills_in_cannot_be_called_otherwise(workspace, field, written, name):
    source = written.format(name)
    with pytest.raises(TemplateProblem) as caught:
        compile_content(a_campaign(workspace, **{"content_kind": "html", "content": BOTH, field: source}))
    assert caught.value.field == field
    assert f"“{name}” is Volley’s own" in caught.value.message


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (f"{{% doc %}}{BOTH}{{% enddoc %}}", "found doc"),
        (f"{{% comment %}}{{% comment %}}{{% endcomment %}}{BOTH}{{% endcomment %}}", "in pairs"),
        (f"{{% comment %}}{{% raw %}}{{% endcomment %}}{BOTH}{{% endraw %}}{{% endcomment %}}", "in pairs"),
        (f"{{% comment %}}{{{{ {{% endcomment %}} }}}}</div>{{% endcomment %}}{BOTH}", "in pairs"),
        (f"{{% comment x %}}{BOTH}{{% endcomment %}}", "in pairs"),
        ("{% capture x %}<p title='><div hidden>'></p>{% endcapture %}<i title='{{ x }}'>", "keeps words"),
        ("{% capture x %}<!-- {% endcapture %}-->{{ x }}", "same level"),
        (f"{{% if contact.vip %}}<!--{{% endif %}}{BOTH}", "same level"),
        (f"<!-- {{% if contact.vip %}}-->{{% endif %}}{BOTH}", "same level"),
        (f"{{% if contact.vip %}}<div hidden>{{% endif %}}{BOTH}", "same level"),
        (f"<div hidden>x{{% if contact.vip %}}</div>{{% endif %}}{BOTH}", "same level"),
        ("<div hidden><div>x{% if contact.vip %}</div>{% endif %}</div>", "same level"),
        ("<p hidden>{% if contact.vip %}<div>x</div>{% endif %}</p>", "same level"),
        ("<style>.u { {% if contact.vip %} }</style><div class=u>{% endif %}", "same level"),
        (f"<template>{BOTH}</template>", "same level"),
        ("<plaintext>", "takes in all"),
        ("<frameset><frame></frameset>", "takes in all"),
    ],
)
def test_what_hides_where_it_ends_is_refused(workspace, source, words):
    with pytest.raises(TemplateProblem) as caught:
        compile_content(a_campaign(workspace, content=source, content_kind="html"))
    assert words in caught.value.message
    assert caught.value.field == "content"


@pytest.mark.parametrize(
    ("kind", "source"),
    [
        ("html", BOTH),
        ("html", WRITTEN),
        ("html", f"{{% if contact.vip %}}<p>x</p>{{% endif %}}{BOTH}"),
        ("html", f"<style>@media print {{ .aside {{ display: none }} }}</style>{BOTH}<p class=aside>x</p>"),
        ("html", f"<link rel=stylesheet href='https://fonts.bunny.net/css?family=x'>{BOTH}"),
        (
            "html",
            "{{ workspace.postal_address | escape | newline_to_br }} <a href=' {{- unsubscribe_url -}} '>x</a>",
        ),
        ("html", f"<div style='font-size:0'><div style='font-size:14px'>{BOTH}</div></div>"),
        (
            "html",
            f"<table bgcolor='#111111'><tr><td style='color:#fff'>{BOTH.replace('<a', '<a style=color:#fff')}",
        ),
        ("mjml", in_mjml(f"<mj-text>{BOTH}</mj-text>")),
        (
            "mjml",
            in_mjml(
                f"<mj-button href='{URL}'>Leave</mj-button><mj-text>{{{{ workspace.postal_address }}}}</mj-text>"
            ),
        ),
    ],
)
def test_a_footer_of_ones_own_is_not_doubled(sent, kind, source):
    for html, text, url in sent(source, kind):
        assert (html.count(url), " ".join(html.split()).count("High Street")) == (1, 1)
        assert (text.count(url), text.count("High Street")) == (1, 1)
        assert text_has_both(text, url)


@pytest.mark.parametrize(
    "link",
    [
        "<a href='https://x.example/?u={{ unsubscribe_url }}'>Leave</a>",
        "<a href='https://x.example/?u= {{- unsubscribe_url }}'>Leave</a>",
        "<a href='{{ contact.css }}{{ unsubscribe_url }}'>Leave</a>",
        "<a href='{% if contact.vip %}https://x.example/{% endif %}{{ unsubscribe_url }}'>Leave</a>",
    ],
)
def test_a_link_that_is_part_of_another_does_not_count(sent, link):
    for html, text, url in sent("<p>{{ workspace.postal_address }}</p>" + link):
        assert f'<a href="{url}"' in html
        assert f"Unsubscribe: {url}\n" in text


def test_a_link_without_words_does_not_count(sent):
    for html, _text, url in sent(
        "<a href='{{ unsubscribe_url }}'>&nbsp;&zwnj;</a>{{ workspace.postal_address }}"
    ):
        assert _Reader(html).links == [url, url, links.preferences_url(url)]


def test_rows_may_begin_and_end_under_different_conditions(sent):
    rows = "{% for n in (1..3) %}{% if n != 2 %}<tr>{% endif %}<td>{{ n }}</td>{% if n != 1 %}</tr>{% endif %}{% endfor %}"
    for html, _text, url in sent(f"<table>{rows}</table>"):
        assert [row.text() for row in LexborHTMLParser(html).css("tr")] == ["12", "3"]
        assert has_footer(html, url)


def test_raw_text_and_braces_are_shown_as_they_are_written(sent):
    for html, text, _url in sent("{% raw %}<b> {{ x }} {% if %}{% endraw %} &#123;{ y }} {{ '{{' }}"):
        words = "<b> {{ x }} {% if %} {{ y }} {{"
        assert words in _Reader(html).words
        assert words in text


def test_what_is_captured_is_printed_once_escaped(sent):
    source = (
        "{% capture x %}O'Brien &amp; {{ contact.last_name | newline_to_br }}{% endcapture %}<p>{{ x }}</p>"
    )
    html, _text, _url = sent(source)[1]
    assert "O'Brien & <!--" in _Reader(html).words
    assert "O&#39;Brien &amp; &lt;!--" in html


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
    began = time.process_time()  # of the processor, whatever else it does
    with pytest.raises(TemplateProblem) as caught:
        compile_content(a_campaign(workspace, content=source, content_kind="html"))
    assert caught.value.field == "content"
    assert time.process_time() - began < 5


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
