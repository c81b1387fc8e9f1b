from django.apps import AppConfig


class DeliveryConfig(AppConfig):
    name = "delivery"

    def ready(self) -> None:
        from accounts.registry import on_workspace_created
        from contacts import registry as contacts
        from delivery.accounts import give_inbox
        from delivery.segments import conditions
        from delivery.timeline import events_of_contact, of_contact

        on_workspace_created.append(give_inbox)
        contacts.timeline += [of_contact, events_of_contact]
        contacts.conditions.append(conditions)
