from django.apps import AppConfig


class CampaignsConfig(AppConfig):
    name = "campaigns"

    def ready(self) -> None:
        from campaigns.actions import lifecycle
        from campaigns.queries import audience
        from contacts import registry as contacts
        from contacts.actions.imports import forget_abandoned, requeue_silent
        from delivery import registry

        registry.on_mailing_change.append(lifecycle.follow)
        registry.on_tick += [
            lifecycle.launch_due,
            lifecycle.requeue_unlaunched,
            requeue_silent,
            forget_abandoned,
        ]
        registry.on_copy.append(lifecycle.hold_unlaunched)
        contacts.segment_uses.append(audience.segment_uses)
