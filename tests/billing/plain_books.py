"""The ledger's rules once more, as plain Python without a database: what tests compare it with."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

PAST = datetime(2026, 1, 1, tzinfo=UTC)


class Refused(Exception):
    """By name, the error that the ledger must raise."""


@dataclass
class PlainLot:
    source: str
    amount: int
    remaining: int
    expires_at: datetime | None = None
    spent: int = 0
    expired: int = 0
    clawed_back: int = 0

    @property
    def is_due(self) -> bool:
        return self.expires_at is not None and self.expires_at <= PAST and self.remaining > 0


@dataclass
class PlainHold:
    amount: int
    key: str | None
    parts: list[tuple[PlainLot, int]]
    state: str = "pending"
    captured: int = 0
    refunded: bool = False


@dataclass
class PlainBooks:
    """One workspace: five balances, lots in the order of their coming, holds, what keys spent."""

    caps: dict[str, int | None]
    wallet: int = 0
    held: int = 0
    sales: int = 0
    grants: int = 0
    expired: int = 0
    debt: int = 0
    lots: list[PlainLot] = field(default_factory=list)
    granted: dict[str, tuple[PlainLot, tuple[int, datetime | None]]] = field(default_factory=dict)
    holds: dict[str, PlainHold] = field(default_factory=dict)
    key_spent: dict[str, int] = field(default_factory=dict)
    facts: dict[tuple[str, str], tuple[object, ...]] = field(default_factory=dict)
    n_facts: int = 0

    @property
    def available(self) -> int:
        return self.wallet - self.held

    def grant(self, key: str, amount: int, expires_at: datetime | None) -> None:
        if key in self.granted:
            if self.granted[key][1] != (amount, expires_at):
                raise Refused("IdempotencyConflict")
            return
        lot = PlainLot("test", amount, amount, expires_at)
        self.granted[key] = (lot, (amount, expires_at))
        self.lots.append(lot)
        self.wallet += amount
        self.grants -= amount
        self.n_facts += 1
        self._repay()

    def hold(self, job: str, amount: int, key: str | None) -> None:
        due = sum(lot.remaining for lot in self.lots if lot.is_due)
        if self.available - due < amount:
            raise Refused("InsufficientCredits")
        cap = self.caps[key] if key else None
        if key and cap is not None and self.key_spent.get(key, 0) + amount > cap:
            raise Refused("KeyCapReached")
        if job in self.holds:
            raise Refused("IntegrityError")
        self.expire()
        self.holds[job] = PlainHold(amount, key, self._draw(amount))
        self.held += amount
        if key:
            self.key_spent[key] = self.key_spent.get(key, 0) + amount

    def settle(self, job: str, captured: int, state: str) -> bool:
        hold = self.holds[job]
        if not 0 <= captured <= hold.amount:
            raise Refused("ValueError")
        if hold.state != "pending":
            return False
        hold.state, hold.captured = state, captured
        left = captured
        for lot, amount in hold.parts:
            spent = min(left, amount)
            left -= spent
            lot.spent += spent
            lot.remaining += amount - spent
        self.held -= hold.amount
        self.wallet -= captured
        self.sales += captured
        self.n_facts += bool(captured)
        if hold.key:
            self.key_spent[hold.key] -= hold.amount - captured
        self._repay()
        return True

    def refund(self, job: str, amount: int, key: str) -> None:
        if self._is_repeated("refund", key, (job, amount)):
            return
        hold = self.holds[job]
        if hold.state != "captured" or not hold.captured:
            raise Refused("WrongState")
        if amount > hold.captured:
            raise Refused("ValidationFailed")
        if hold.refunded:
            raise Refused("WrongState")
        hold.refunded = True
        self.facts["refund", key] = (job, amount)
        self.lots.append(PlainLot("refund", amount, amount))
        self.wallet += amount
        self.sales -= amount
        self.n_facts += 1
        self._repay()

    def take(self, amount: int, key: str) -> None:
        if self._is_repeated("take", key, (amount,)):
            return
        due = sum(lot.remaining for lot in self.lots if lot.is_due)
        if self.available - due < amount:
            raise Refused("InsufficientCredits")
        self.facts["take", key] = (amount,)
        self.expire()
        self._spend(amount)
        self.wallet -= amount
        self.grants += amount
        self.n_facts += 1

    def claw_back(self, grant: str, total: int) -> None:
        lot = self.granted[grant][0]
        if not 0 <= total <= lot.amount:
            raise Refused("ValidationFailed")
        self.expire()
        if total < lot.clawed_back:
            self._give_back(lot, lot.clawed_back - total)
            lot.clawed_back = total
        owed = min(total, lot.amount - lot.expired)
        if owed > lot.clawed_back:
            self._take_back(lot, owed - lot.clawed_back)
            lot.clawed_back = owed

    def expire(self) -> None:
        for lot in self.lots:
            if lot.is_due:
                self.wallet -= lot.remaining
                self.expired += lot.remaining
                lot.expired += lot.remaining
                lot.remaining = 0
                self.n_facts += 1

    def _take_back(self, lot: PlainLot, amount: int) -> None:
        taken = min(amount, self.available)
        own = min(taken, lot.remaining)
        lot.remaining -= own
        lot.spent += own
        self._spend(taken - own)
        self.wallet -= taken
        self.debt += amount - taken
        self.grants += amount
        self.n_facts += 1

    def _give_back(self, lot: PlainLot, amount: int) -> None:
        repaid = min(self.debt, amount)
        freed = amount - repaid
        own = min(freed, lot.spent)
        lot.spent -= own
        lot.remaining += own
        if freed > own:
            self.lots.append(PlainLot("reinstated", freed - own, freed - own))
        self.debt -= repaid
        self.wallet += freed
        self.grants -= amount
        self.n_facts += 1

    def _repay(self) -> None:
        paid = min(self.debt, self.available)
        if paid:
            self._spend(paid)
            self.wallet -= paid
            self.debt -= paid
            self.n_facts += 1

    def _spend(self, amount: int) -> None:
        for lot, part in self._draw(amount):
            lot.spent += part

    def _draw(self, amount: int) -> list[tuple[PlainLot, int]]:
        never = datetime.max.replace(tzinfo=UTC)
        parts = []
        # Stable: of those that expire together, the one that came first.
        for lot in sorted(self.lots, key=lambda lot: lot.expires_at or never):
            part = min(amount, lot.remaining)
            if part:
                lot.remaining -= part
                amount -= part
                parts.append((lot, part))
        assert amount == 0
        return parts

    def _is_repeated(self, kind: str, key: str, what: tuple[object, ...]) -> bool:
        known = self.facts.get((kind, key))
        if known is not None and known != what:
            raise Refused("IdempotencyConflict")
        return known is not None
