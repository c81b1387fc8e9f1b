"""What providers ask to be set for a domain, beyond what they show in their own pages for each account.

Their keys and tokens differ by account, so their pages have the last word; here stands where to look.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Asked:
    """where: in its pages. spf: what it asks to be allowed in the domain's own record, "" where nothing is.

    selectors: what its keys are called, for everybody or for most; called: in words, where others have other names.
    """

    where: str
    selectors: tuple[str, ...] = ()
    called: str = ""
    spf: str = ""

    @property
    def names(self) -> str:
        """Its selectors in words."""
        if self.called:
            return self.called
        *first, last = self.selectors
        return f"{', '.join(first)} or {last}" if first else last


# The selectors are documented by each provider, or stand in the records that its pages give to every account.
ASKED: dict[str, Asked] = {
    "amazon_ses": Asked(
        "Identities, your domain, “Publish DNS records”", called="three long names that it makes"
    ),
    # mail: of domains set up by a TXT record.
    "brevo": Asked("Senders, domains, “Authenticate this domain”", ("brevo1", "brevo2", "mail")),
    "mailersend": Asked(
        "Domains, your domain, “DNS records”", ("mlsend2", "mlsend"), spf="include:_spf.mailersend.net"
    ),
    # pdk1, pdk2: with its Automatic Sender Security; else each domain's own.
    "mailgun": Asked(
        "Sending, Domains, “DNS records”",
        ("pdk1", "pdk2"),
        called="pdk1 and pdk2, or what its page shows, such as pic or mx",
        spf="include:mailgun.org",
    ),
    "mailjet": Asked("Account, “SPF and DKIM authentication”", ("mailjet",), spf="include:spf.mailjet.com"),
    "mailtrap": Asked("Sending domains, “Domain verification”", ("rwmt1", "rwmt2")),
    # mandrill: of domains set up by a TXT record.
    "mandrill": Asked("Settings, Domains, “DKIM settings”", ("mte1", "mte2", "mandrill")),
    "postal": Asked(
        "Your server, Domains, “DNS setup”", called="what its page shows, beginning with postal-"
    ),
    "postmark": Asked(
        "Sender signatures, your domain, “DNS settings”", called="a date and pm, such as 20260301120000pm"
    ),
    "resend": Asked("Domains, your domain", ("resend",)),
    "scaleway": Asked(
        "Transactional email, your domain",
        called="what its page shows",
        spf="include:_spf.tem.scaleway.com",
    ),
    # m1: without its Automated Security.
    "sendgrid": Asked("Settings, “Sender authentication”", ("s1", "s2", "m1")),
    "sparkpost": Asked("Configuration, Domains, your domain", called="scph and digits, such as scph0326"),
    "unisender_go": Asked("Domains, your domain", ("us",)),
}


def asked_by(provider: str) -> Asked:
    return ASKED.get(provider, Asked("its page on domains", called="what its page shows"))
