from django.apps import AppConfig


class CampaignsConfig(AppConfig):
    name = "campaigns"

    def ready(self) -> None:
        from campaigns import lists
        from campaigns.actions import forgetting, lifecycle
        from campaigns.queries import audience
        from contacts import registry as contacts
        from contacts.actions import bulk, exports, growth, imports, segments, suppression, tags
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
            growth.fold,
            bulk.requeue_silent,
            bulk.forget_old,
            tags.requeue_silent,
            segments.requeue_untaken,
            segments.count_next,
            suppression.forget_expired,
        ]
        registry.on_copy.append(lifecycle.hold_unlaunched)
        contacts.erase.append(forgetting.erase)
        contacts.segment_uses.append(audience.segment_uses)
        contacts.list_uses.append(audience.list_uses)
        contacts.list_links.append(lists.links)
        contacts.segment_links.append(lists.segment_links)
        contacts.list_facts.append(lists.facts)
