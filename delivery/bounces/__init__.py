"""What comes back by mail: bounces, complaints and people who leave, read out of mailboxes or taken by our own server."""
