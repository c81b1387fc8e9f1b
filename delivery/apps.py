from django.apps import AppConfig


class DeliveryConfig(AppConfig):
    name = "delivery"

    def ready(self) -> None:
        from accounts.registry import on_workspace_created
        from contacts import registry as contacts
        from delivery.accounts import give_inbox
        from delivery.timeline import of_contact, with_messages

        on_workspace_created.append(give_inbox)
        contacts.timeline.append(of_contact)
        contacts.contact_uses.append(with_messages)
