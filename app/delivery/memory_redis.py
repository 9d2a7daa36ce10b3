"""The memory store in a Redis that keeps nothing on a disk, shared by the machines of one site.

Every name begins with `haumaru:memory:`. What ends is stored with its end, which is compared with the caller's clock,
and has a lifetime in Redis besides. An envelope's row that is missing counts as a tip's words, whatever goes wrong.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from redis import Redis
from redis.exceptions import RedisError

from app.core.errors import AlreadySentError, HeldFullError, MemoryStoreError
from app.delivery.clock import quarter_hour_end
from app.delivery.memory_store import DECOY, MOMENTS_SOON, PART, WORDS, EnvelopeKind
from app.vault.tip import TipId

_PREFIX = "haumaru:memory:"
_AGENCIES, _HELD_SIZES, _ATTEMPTS, _LEVEL = (_PREFIX + name for name in ("agencies", "sizes", "attempts", "level"))
_KEY_BYTES = 32
_LIFETIME = 3 * 3600  # no held tip is extended beyond two hours
_SENT = b"sent"
_SECONDS = 5
# Count what is held without KEY, drop what has ended, and reserve room for KEY. Sizes are "SIZE END".
_RESERVE = """
local total = tonumber(ARGV[2])
local rows = redis.call('HGETALL', KEYS[1])
for at = 1, #rows, 2 do
    local size, ends = string.match(rows[at + 1], '(%d+) (%d+)')
    if tonumber(ends) <= tonumber(ARGV[5]) then
        redis.call('HDEL', KEYS[1], rows[at])
    elseif rows[at] ~= ARGV[1] then
        total = total + tonumber(size)
    end
end
if total > tonumber(ARGV[4]) then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2] .. ' ' .. ARGV[3])
return 1
"""

# Return the number of a form's answer, the next one if it has none yet; the numbers of a thread end together.
_NUMBER = """
local number = redis.call('HGET', KEYS[1], ARGV[1])
if not number then
    number = redis.call('HLEN', KEYS[1]) + 1
    redis.call('HSET', KEYS[1], ARGV[1], number)
    redis.call('EXPIRE', KEYS[1], ARGV[2])
end
return tonumber(number)
"""
# Return the level that was agreed for a moment, or for one soon after; where none was, agree on the one that came.
_AGREE = """
local moment, level = string.match(redis.call('GET', KEYS[1]) or '', '(%d+) (%d+)')
local ahead = moment and tonumber(moment) - tonumber(ARGV[1])
if ahead and ahead >= 0 and ahead < tonumber(ARGV[3]) then return tonumber(level) end
redis.call('SET', KEYS[1], ARGV[1] .. ' ' .. ARGV[2])
return tonumber(ARGV[2])
"""


class RedisMemoryStore:
    """The memory store in the Redis of one URL."""

    def __init__(self, url: str) -> None:
        self._redis: Any = Redis.from_url(url, socket_timeout=_SECONDS, socket_connect_timeout=_SECONDS)
        self._reserve = self._redis.register_script(_RESERVE)
        self._number = self._redis.register_script(_NUMBER)

    def use_forms(self, keys: Sequence[bytes], words_id: TipId, now: float) -> Mapping[bytes, TipId]:
        """Note that forms are being sent; see MemoryStore."""
        with _as_memory_errors():
            forms = {key: self._form(key, now) for key in keys}
            if any(sent for _, sent in forms.values()):
                raise AlreadySentError
            with self._redis.pipeline() as pipe:
                for key in keys:
                    pipe.set(_form_name(key), f"{words_id} {quarter_hour_end(now)}", ex=_LIFETIME)
                pipe.hset(_ATTEMPTS, words_id, b"".join(keys))
                pipe.expire(_ATTEMPTS, _LIFETIME)
                pipe.execute()
            return {key: earlier for key, (earlier, _) in forms.items() if earlier is not None}

    def mark_sent(self, keys: Sequence[bytes], now: float) -> None:
        """Note that forms or held tips were sent; see MemoryStore."""
        with _as_memory_errors():
            attempts = {earlier for key in keys if (earlier := self._form(key, now)[0]) is not None}
            over = [each for each in attempts if set(self._attempt(each)) <= set(keys)]
            with self._redis.pipeline() as pipe:
                for key in keys:
                    pipe.set(_form_name(key), b"%b %d" % (_SENT, quarter_hour_end(now)), ex=_LIFETIME)
                if over:
                    pipe.hdel(_ATTEMPTS, *over)
                pipe.execute()

    def number_answer(self, thread: bytes, form: bytes, *, ends: int, now: float) -> int:
        """Return the place of a form's answer among those of a thread; see MemoryStore."""
        with _as_memory_errors():
            return int(self._number(keys=[_answers_name(thread)], args=[form, max(1, int(ends - now))]))

    def was_sent(self, key: bytes, now: float) -> bool:
        """Return whether a form or a held tip was sent."""
        with _as_memory_errors():
            return self._form(key, now)[1]

    def hold(self, key: bytes, data: bytes | memoryview, *, ends: int, limit: int, now: float) -> None:
        """Hold encrypted bytes until `ends` (unix seconds); see MemoryStore."""
        with _as_memory_errors():
            if not self._reserve(keys=[_HELD_SIZES], args=[key, len(data), ends, limit, int(now)]):
                raise HeldFullError
            self._redis.set(_held_name(key), data, ex=_LIFETIME)

    def replace(self, key: bytes, data: bytes | memoryview, *, limit: int, now: float) -> bool:
        """Hold other bytes in place of those that a key holds; see MemoryStore."""
        with _as_memory_errors():
            row = self._redis.hget(_HELD_SIZES, key)
            ends = int(row.split()[1]) if row else 0
            if ends <= now or not self._redis.exists(_held_name(key)):
                return False
            if not self._reserve(keys=[_HELD_SIZES], args=[key, len(data), ends, limit, int(now)]):
                raise HeldFullError
            if self._redis.set(_held_name(key), data, ex=_LIFETIME, xx=True):
                return True
            self._redis.hdel(_HELD_SIZES, key)
            return False

    def held(self, key: bytes, now: float) -> bytes | None:
        """Return what a key holds; None if nothing, or if its time is over."""
        with _as_memory_errors():
            row, data = self._redis.hget(_HELD_SIZES, key), self._redis.get(_held_name(key))
            return data if row and int(row.split()[1]) > now else None

    def held_size(self, key: bytes, now: float) -> int:
        """Return how many bytes a key holds; see MemoryStore."""
        with _as_memory_errors():
            row = self._redis.hget(_HELD_SIZES, key)
            there = row and int(row.split()[1]) > now and self._redis.exists(_held_name(key))
            return int(row.split()[0]) if there else 0

    def extend(self, key: bytes, ends: int, now: float) -> bool:
        """Let what a key holds end at `ends`; return False if nothing is held, or if its time is over."""
        with _as_memory_errors():
            row = self._redis.hget(_HELD_SIZES, key)
            if row is None or int(row.split()[1]) <= now or not self._redis.expire(_held_name(key), _LIFETIME):
                return False
            self._redis.hset(_HELD_SIZES, key, b"%b %d" % (row.split()[0], ends))
            return True

    def drop_held(self, key: bytes) -> bool:
        """Destroy what a key holds; return whether anything was held."""
        with _as_memory_errors():
            self._redis.hdel(_HELD_SIZES, key)
            return bool(self._redis.delete(_held_name(key)))

    def count_held(self, now: float) -> int:
        """Return how many keys hold something."""
        with _as_memory_errors():
            return sum(int(row.split()[1]) > now for row in self._redis.hvals(_HELD_SIZES))

    def list_decoy(self, agency: str, envelope_id: TipId) -> None:
        """List an envelope as a decoy; see MemoryStore."""
        with _as_memory_errors(), self._redis.pipeline() as pipe:
            pipe.sadd(_AGENCIES, agency)
            pipe.sadd(_decoys_name(agency), envelope_id)
            pipe.execute()

    def take_decoys(self, agency: str, count: int) -> list[TipId]:
        """Return at most `count` listed decoys, chosen at random, which are listed no longer."""
        with _as_memory_errors():
            return [TipId(each.decode()) for each in self._redis.spop(_decoys_name(agency), count)]

    def note_tip(self, agency: str, words_id: TipId, part_ids: Sequence[TipId]) -> None:
        """Note which envelopes are the words and the parts of one tip."""
        rank = len(part_ids)
        rows = {words_id: f"{WORDS} {rank}"} | dict.fromkeys(part_ids, f"{PART} {rank}")
        with _as_memory_errors(), self._redis.pipeline() as pipe:
            pipe.sadd(_AGENCIES, agency)
            pipe.hset(_tips_name(agency), mapping=rows)
            pipe.execute()

    def forget(self, ids: Iterable[TipId]) -> None:
        """Forget envelopes that leave the outbox; see MemoryStore."""
        gone = list(ids)
        if not gone:
            return
        with _as_memory_errors():
            keys = [key for each in gone for key in self._attempt(each)]
            with self._redis.pipeline() as pipe:
                for agency in self._redis.smembers(_AGENCIES):
                    pipe.srem(_decoys_name(agency.decode()), *gone)
                    pipe.hdel(_tips_name(agency.decode()), *gone)
                for key in keys:
                    self._mark_attempt_sent(pipe, key)
                pipe.hdel(_ATTEMPTS, *gone)
                pipe.execute()

    def kinds(self, agency: str) -> Mapping[TipId, EnvelopeKind]:
        """Return what is known of an agency's envelopes; one that is missing counts as a tip's words."""
        with _as_memory_errors(), self._redis.pipeline() as pipe:
            pipe.smembers(_decoys_name(agency))
            pipe.hgetall(_tips_name(agency))
            decoys, tips = pipe.execute()
        found = {TipId(each.decode()): DECOY for each in decoys}
        for each, row in tips.items():
            name, rank = row.decode().split()
            found[TipId(each.decode())] = EnvelopeKind(name, int(rank))
        return found

    def count_words(self) -> int:
        """Return how many envelopes, of all agencies, are known as the words of tips."""
        with _as_memory_errors():
            agencies = [each.decode() for each in self._redis.smembers(_AGENCIES)]
            rows = (row for agency in agencies for row in self._redis.hvals(_tips_name(agency)))
            return sum(row.startswith(WORDS.encode()) for row in rows)

    def forget_ended(self, now: float) -> None:
        """Do nothing: Redis forgets by itself what ends."""

    def level(self) -> int:
        """Return the number of envelopes up to which the outbox is filled for each agency; 0 if none was agreed."""
        with _as_memory_errors():
            row = self._redis.get(_LEVEL)
            return int(row.split()[1]) if row else 0

    def agree_level(self, moment: int, level: int) -> int:
        """Return the level that was agreed for a moment, or agree on `level`; see MemoryStore."""
        with _as_memory_errors():
            return int(self._redis.eval(_AGREE, 1, _LEVEL, moment, level, MOMENTS_SOON))

    def close(self) -> None:
        """Close the connections."""
        self._redis.close()

    def _form(self, key: bytes, now: float) -> tuple[TipId | None, bool]:
        """Return the tip as which a form is being sent, or that the form was sent."""
        row = self._redis.get(_form_name(key))
        words, ends = row.split() if row else (b"", b"0")
        if int(ends) <= now:
            return None, False
        return (None, True) if words == _SENT else (TipId(words.decode()), False)

    def _attempt(self, words_id: TipId) -> list[bytes]:
        """Return the keys of the forms that are being sent as a tip."""
        keys = self._redis.hget(_ATTEMPTS, words_id) or b""
        return [keys[at : at + _KEY_BYTES] for at in range(0, len(keys), _KEY_BYTES)]

    def _mark_attempt_sent(self, pipe: Any, key: bytes) -> None:
        row = self._redis.get(_form_name(key))
        if row:
            pipe.set(_form_name(key), b"%b %b" % (_SENT, row.split()[1]), ex=_LIFETIME)


@contextmanager
def _as_memory_errors() -> Iterator[None]:
    try:
        yield
    except RedisError:
        raise MemoryStoreError from None


def _form_name(key: bytes) -> str:
    return f"{_PREFIX}form:{key.hex()}"


def _answers_name(thread: bytes) -> str:
    return f"{_PREFIX}answers:{thread.hex()}"


def _held_name(key: bytes) -> str:
    return f"{_PREFIX}held:{key.hex()}"


def _decoys_name(agency: str) -> str:
    return f"{_PREFIX}decoys:{agency}"


def _tips_name(agency: str) -> str:
    return f"{_PREFIX}tips:{agency}"
