from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.operators import operator_list, operator_set
from config.errors import AppError


class Command(BaseCommand):
    help = (
        "Let a person who has signed up into the operator's console, or out of it; "
        "without an address, list who is in. They need a second factor to come in."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email", nargs="?", help="the address that they signed up with")
        parser.add_argument("--remove", action="store_true", help="take the right away")

    def handle(self, *args: Any, **options: Any) -> None:
        email = options["email"]
        if email is None:
            for user in operator_list():
                self.stdout.write(user.email)
            return
        try:
            user = operator_set(email=email, is_operator=not options["remove"])
        except AppError as error:
            raise CommandError(str(error)) from error
        if options["remove"]:
            self.stdout.write(f"{user.email} is no operator any more.")
        else:
            self.stdout.write(f"{user.email} is an operator. The console is at /console/.")
