from django.apps import AppConfig


class CampaignsConfig(AppConfig):
    name = "campaigns"

    def ready(self) -> None:
        from campaigns.actions import lifecycle
        from campaigns.queries import audience
        from contacts import registry as contacts
        from contacts.actions import exports, imports
        from delivery import registry

        registry.on_mailing_change.append(lifecycle.follow)
        registry.on_tick += [
            lifecycle.launch_due,
            lifecycle.requeue_unlaunched,
            imports.requeue_silent,
            imports.forget_abandoned,
            imports.forget_old,
            imports.drop_leftovers,
            exports.requeue_silent,
            exports.forget_old,
        ]
        registry.on_copy.append(lifecycle.hold_unlaunched)
        contacts.segment_uses.append(audience.segment_uses)
