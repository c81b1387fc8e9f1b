"""What providers ask to be set for a domain, beyond what they show in their own pages for each account.

Their keys and tokens differ by account, so their pages have the last word; here stands where to look.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Asked:
    """where: in its pages. spf: what it asks to be allowed in the domain's own record, "" where nothing is.

    selectors: what its keys are called, in words.
    """

    where: str
    selectors: str
    spf: str = ""


ASKED: dict[str, Asked] = {
    "amazon_ses": Asked("Identities, your domain, “Publish DNS records”", "three long names that it makes"),
    "brevo": Asked("Senders, domains, “Authenticate this domain”", "brevo1 and brevo2, or mail"),
    "mailersend": Asked(
        "Domains, your domain, “DNS records”", "mlsend, or mlsend2", "include:_spf.mailersend.net"
    ),
    "mailgun": Asked(
        "Sending, Domains, “DNS records”", "what its page shows, such as pic or mx", "include:mailgun.org"
    ),
    "mailjet": Asked("Account, “SPF and DKIM authentication”", "mailjet", "include:spf.mailjet.com"),
    "mailtrap": Asked("Sending domains, “Domain verification”", "rwmt1 and rwmt2"),
    "mandrill": Asked("Settings, Domains, “DKIM settings”", "mte1 and mte2"),
    "postal": Asked("Your server, Domains, “DNS setup”", "what its page shows, beginning with postal-"),
    "postmark": Asked(
        "Sender signatures, your domain, “DNS settings”", "a date and pm, such as 20260301120000pm"
    ),
    "resend": Asked("Domains, your domain", "resend"),
    "scaleway": Asked(
        "Transactional email, your domain", "what its page shows", "include:_spf.tem.scaleway.com"
    ),
    "sendgrid": Asked("Settings, “Sender authentication”", "s1 and s2"),
    "sparkpost": Asked("Configuration, Domains, your domain", "scph and digits, such as scph0326"),
    "unisender_go": Asked("Domains, your domain", "us"),
}


def asked_by(provider: str) -> Asked:
    return ASKED.get(provider, Asked("its page on domains", "what its page shows"))
