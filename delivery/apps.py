from django.apps import AppConfig


class DeliveryConfig(AppConfig):
    name = "delivery"

    def ready(self) -> None:
        from accounts.registry import on_workspace_created
        from contacts import registry as contacts
        from contacts.actions import imports
        from delivery import doubt, people, registry
        from delivery.accounts import give_inbox
        from delivery.bounces import mailboxes, take
        from delivery.confirming import asking, standing
        from delivery.domains import actions as domains
        from delivery.feedback import apply, drain
        from delivery.fetching import run as fetching
        from delivery.hooks import entries, leaving, refusals, strays
        from delivery.hooks import reading as hook_reading
        from delivery.hygiene import breaker, gradual, returned, soft
        from delivery.preferences import reasons
        from delivery.queries import is_sending
        from delivery.segments import conditions
        from delivery.timeline import events_of_contact, of_contact, with_messages
        from delivery.tracking import hits, reading, suspicion, tallies

        on_workspace_created.append(give_inbox)
        registry.on_mailing_change.append(doubt.set_due)
        contacts.timeline += [of_contact, events_of_contact]
        contacts.conditions.append(conditions)
        contacts.is_busy.append(is_sending)
        contacts.on_unconfirmed.append(asking.nudge)
        contacts.list_links.append(standing.links)
        contacts.list_notes.append(standing.notes)
        contacts.list_facts.append(reasons.facts)
        registry.on_tick += [
            asking.ask_waiting,
            drain.ask_workers,
            mailboxes.ask_workers,
            refusals.write_down,
            strays.tend,
            domains.ask_daily,
            breaker.watch,
            doubt.decide_due,
            gradual.watch,
            fetching.requeue_silent,
        ]
        drain.readers[take.STREAM] = take.read_stream
        drain.readers[hits.STREAM] = reading.read
        drain.readers[entries.STREAM] = hook_reading.read
        apply.consequences += [suspicion.suspect, tallies.tally, leaving.leave, soft.follow]
        registry.on_copy += [
            imports.hold_unasked,
            asking.hold_unasked,  # behind it: no more come meanwhile
            mailboxes.hold,
            doubt.hold,
        ]
        contacts.addresses.append(people.addresses)
        contacts.contact_links.append(returned.links)
        contacts.contact_uses.append(with_messages)
        contacts.erase.append(people.erase)
        contacts.message_counts.append(people.message_count)
        contacts.merge.append(people.merge)
        contacts.person_file.append(people.person_file)
