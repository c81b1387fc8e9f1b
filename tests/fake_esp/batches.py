"""One call of each API to several people: a template, and beside it each one's values. Each gives its path and body.

html, subject: with the provider's own placeholders. values: {address: {name: text}}.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

from tests.fake_esp.asking import SENDER, a_call

Values = Mapping[str, Mapping[str, str]]
Batch = Callable[[str, str, Values], tuple[str, Any]]


def mailgun(html: str, subject: str, values: Values):
    call = a_call("mailgun", html=html, subject=subject)
    return "", call | {"to": list(values), "recipient-variables": json.dumps(values)}


def sendgrid(html: str, subject: str, values: Values):
    people = [
        {"to": [{"email": each}], "substitutions": {f"-{name}-": value for name, value in own.items()}}
        for each, own in values.items()
    ]
    content = [{"type": "text/html", "value": html}]
    return "", a_call("sendgrid", subject=subject, content=content, personalizations=people)


def sparkpost(html: str, subject: str, values: Values):
    people = [{"address": {"email": each}, "substitution_data": own} for each, own in values.items()]
    return "", {"content": {"from": SENDER, "subject": subject, "html": html}, "recipients": people}


def postmark(html: str, subject: str, values: Values):
    messages = [{"To": each, "TemplateModel": own} for each, own in values.items()]
    call = a_call("postmark", HtmlBody=html, TextBody="", Subject=subject, Messages=messages)
    return "email/bulk", {name: value for name, value in call.items() if name != "To"}


def amazon_ses(html: str, subject: str, values: Values):
    template = {"TemplateContent": {"Subject": subject, "Html": html}, "TemplateData": "{}"}
    entries = [
        {
            "Destination": {"ToAddresses": [each]},
            "ReplacementEmailContent": {"ReplacementTemplate": {"ReplacementTemplateData": json.dumps(own)}},
        }
        for each, own in values.items()
    ]
    content = {"Template": template}
    call = {"FromEmailAddress": SENDER, "DefaultContent": content, "BulkEmailEntries": entries}
    return "v2/email/outbound-bulk-emails", call


def mandrill(html: str, subject: str, values: Values):
    merge = [
        {"rcpt": each, "vars": [{"name": name, "content": value} for name, value in own.items()]}
        for each, own in values.items()
    ]
    message = {
        "from_email": SENDER,
        "to": [{"email": each} for each in values],
        "subject": subject,
        "html": html,
        "merge_vars": merge,
        "preserve_recipients": False,
    }
    return "", {"key": "k", "message": message}


def mailjet(html: str, subject: str, values: Values):
    shared = {"From": {"Email": SENDER}, "Subject": subject, "HTMLPart": html, "TemplateLanguage": True}
    messages = [{"To": [{"Email": each}], "Variables": own} for each, own in values.items()]
    return "", {"Globals": shared, "Messages": messages}


def mailersend(html: str, subject: str, values: Values):
    return "bulk-email", [
        a_call("mailersend", each, html=html, subject=subject, personalization=[{"email": each, "data": own}])
        for each, own in values.items()
    ]


def brevo(html: str, subject: str, values: Values):
    versions = [{"to": [{"email": each}], "params": own} for each, own in values.items()]
    call = a_call("brevo", htmlContent=html, subject=subject, messageVersions=versions)
    return "", {name: value for name, value in call.items() if name != "to"}


def unisender_go(html: str, subject: str, values: Values):
    people = [{"email": each, "substitutions": own} for each, own in values.items()]
    return "", {
        "message": {"from_email": SENDER, "recipients": people, "subject": subject, "body": {"html": html}}
    }


BATCHES: Mapping[str, Batch] = {
    each.__name__: each
    for each in (
        amazon_ses,
        brevo,
        mailersend,
        mailgun,
        mailjet,
        mandrill,
        postmark,
        sendgrid,
        sparkpost,
        unisender_go,
    )
}
