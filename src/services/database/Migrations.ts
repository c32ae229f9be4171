/**
 * The layout of the database, as the steps that lead to it. A step that was released is never changed: what is wrong
 * with it is put right by a later one. Steps only go forward; a database that is ahead of this list is refused.
 *
 * How far a database is stands in its own header (`user_version`), beside the mark that it is one of ours
 * (`application_id`), so both are known before anything is written. effect/sql's Migrator keeps a table instead.
 */
import * as Effect from "effect/Effect"
import type { SqlClient } from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"

export interface Migration {
  /** From 1, without gaps. */
  readonly id: number
  readonly name: string
  readonly up: (sql: SqlClient) => Effect.Effect<unknown, SqlError>
}

/** "Kith", in the header of every database of ours. */
export const applicationId = 0x4b697468

const statements =
  (...all: ReadonlyArray<string>) =>
  (sql: SqlClient): Effect.Effect<unknown, SqlError> =>
    Effect.forEach(all, (one) => sql.unsafe(one).unprepared, { discard: true })

/** Peer ids are long and stand in many rows, so each has a number here, which is never given to another. */
const keys = `
  CREATE TABLE keys (
    n INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE
  ) STRICT`

/** `place` is the order in which they became known. */
const peers = `
  CREATE TABLE peers (
    place INTEGER PRIMARY KEY,
    key INTEGER NOT NULL UNIQUE REFERENCES keys (n),
    name TEXT NOT NULL,
    trust TEXT NOT NULL CHECK (trust IN ('unverified', 'verified', 'blocked')),
    trust_at INTEGER,
    trust_how TEXT,
    accept TEXT CHECK (accept IN ('ask', 'verified', 'everyone', 'nobody')),
    wanted INTEGER NOT NULL CHECK (wanted IN (0, 1)),
    removed INTEGER NOT NULL CHECK (removed IN (0, 1)),
    last_seen INTEGER
  ) STRICT`

/** `place` 0 was useful most recently. The address is JSON, since there are to be several kinds. */
const addresses = `
  CREATE TABLE addresses (
    peer INTEGER NOT NULL REFERENCES peers (key) ON DELETE CASCADE,
    place INTEGER NOT NULL,
    address TEXT NOT NULL CHECK (json_valid(address)),
    PRIMARY KEY (peer, place)
  ) STRICT, WITHOUT ROWID`

const settings = `
  CREATE TABLE settings (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL CHECK (json_valid(value))
  ) STRICT, WITHOUT ROWID`

/**
 * `n` is the order in which messages were added here, which no clock can turn around. A message is named by its
 * sender and its id, since another peer could copy the id of one that went to everyone.
 */
const messages = [
  `CREATE TABLE messages (
    n INTEGER PRIMARY KEY,
    id TEXT NOT NULL,
    sender INTEGER NOT NULL REFERENCES keys (n),
    receiver INTEGER REFERENCES keys (n),
    text TEXT NOT NULL,
    sent_at INTEGER NOT NULL
  ) STRICT`,
  `CREATE UNIQUE INDEX messages_named ON messages (id, sender)`,
  `CREATE INDEX messages_from ON messages (sender, n)`
]

/** The numbers this node gives to what it sends to a peer: the newest row of a peer is the one in use. */
const outgoing = `
  CREATE TABLE outgoing (
    n INTEGER PRIMARY KEY AUTOINCREMENT,
    peer INTEGER NOT NULL REFERENCES keys (n),
    epoch TEXT NOT NULL,
    next INTEGER NOT NULL CHECK (next > 0),
    UNIQUE (peer, epoch)
  ) STRICT`

/** The last number shown of each epoch of a peer; the greatest `place` was heard last. */
const incoming = `
  CREATE TABLE incoming (
    peer INTEGER NOT NULL REFERENCES keys (n),
    place INTEGER NOT NULL,
    epoch TEXT NOT NULL,
    last INTEGER NOT NULL,
    PRIMARY KEY (peer, place)
  ) STRICT, WITHOUT ROWID`

/** How far a message of ours got with each peer. State: 0 queued, 1 sent, 2 delivered, 3 read, 4 expired. `bytes`: of its text. */
const recipients = [
  `CREATE TABLE recipients (
    message INTEGER NOT NULL REFERENCES messages (n) ON DELETE CASCADE,
    peer INTEGER NOT NULL REFERENCES keys (n),
    counter INTEGER NOT NULL REFERENCES outgoing (n),
    seq INTEGER NOT NULL,
    state INTEGER NOT NULL CHECK (state BETWEEN 0 AND 4),
    bytes INTEGER NOT NULL,
    PRIMARY KEY (message, peer)
  ) STRICT, WITHOUT ROWID`,
  `CREATE INDEX recipients_of ON recipients (peer, message)`,
  `CREATE INDEX recipients_waiting ON recipients (peer, counter, seq, bytes) WHERE state < 2`,
  `CREATE INDEX recipients_unread ON recipients (peer, counter, seq) WHERE state = 2`
]

/** Messages of others that nobody here has read, with the number to acknowledge when someone does. */
const unread = [
  `CREATE TABLE unread (
    message INTEGER PRIMARY KEY REFERENCES messages (n) ON DELETE CASCADE,
    sender INTEGER NOT NULL REFERENCES keys (n),
    to_everyone INTEGER NOT NULL CHECK (to_everyone IN (0, 1)),
    epoch TEXT NOT NULL,
    seq INTEGER NOT NULL
  ) STRICT`,
  `CREATE INDEX unread_from ON unread (sender, to_everyone, message)`
]

/**
 * The words of each message, cut by SearchTerms, which keeps apart what scripts without spaces and emoji need, and
 * between whom it went. It holds no text of its own; a row goes with its message.
 */
const search = [
  `CREATE VIRTUAL TABLE message_search USING fts5 (
    who, words, content = '', contentless_delete = 1, tokenize = 'ascii', prefix = '3'
  )`,
  `CREATE TRIGGER message_search_forget AFTER DELETE ON messages BEGIN
    DELETE FROM message_search WHERE rowid = old.n;
  END`
]

/** Never used by what was released; `ended` took its place. */
const transfers = [
  `CREATE TABLE transfers (
    place INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    direction TEXT NOT NULL CHECK (direction IN ('send', 'receive')),
    state TEXT NOT NULL,
    over INTEGER NOT NULL CHECK (over IN (0, 1)),
    group_id TEXT NOT NULL,
    peer INTEGER NOT NULL REFERENCES keys (n),
    name TEXT NOT NULL,
    files INTEGER NOT NULL,
    directories INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    total_bytes INTEGER NOT NULL,
    error TEXT,
    problem_count INTEGER NOT NULL,
    started_at INTEGER NOT NULL,
    ended_at INTEGER,
    sources TEXT NOT NULL CHECK (json_valid(sources)),
    conflict TEXT CHECK (conflict IN ('rename', 'skip', 'overwrite')),
    staging TEXT,
    root TEXT,
    published TEXT NOT NULL CHECK (json_valid(published))
  ) STRICT`,
  `CREATE INDEX transfers_unfinished ON transfers (place) WHERE over = 0`,
  `CREATE INDEX transfers_over ON transfers (place) WHERE over = 1`,
  `CREATE TABLE transfer_problems (
    transfer INTEGER NOT NULL REFERENCES transfers (place) ON DELETE CASCADE,
    place INTEGER NOT NULL,
    path TEXT NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (transfer, place)
  ) STRICT, WITHOUT ROWID`
]

/** How transfers ended, as JSON of what was shown last; `place` is the order. They go on with what their archives hold. */
const ended = [
  `DROP TABLE transfer_problems`,
  `DROP TABLE transfers`,
  `CREATE TABLE ended (
    place INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    view TEXT NOT NULL CHECK (json_valid(view))
  ) STRICT`
]

/** What was picked for a send that is over, absolute paths as JSON, so that it can be sent again; NULL: not known. */
const picked = [`ALTER TABLE ended ADD COLUMN picked TEXT CHECK (json_valid(picked))`]

/** Offers of strangers that ended before anybody answered are a class of their own, so that they push out nothing else. */
const unanswered = [
  `ALTER TABLE ended ADD COLUMN unanswered INTEGER NOT NULL DEFAULT 0 CHECK (unanswered IN (0, 1))`,
  `CREATE INDEX ended_class ON ended (unanswered, place)`
]

/**
 * What is kept of each sender: messages, and bytes of their texts. `written`: a message went to this peer alone. The
 * triggers keep it true, whatever adds or removes messages. Only peers have rows in `incoming`, this node has none.
 */
const said = [
  `CREATE TABLE said (
    peer INTEGER PRIMARY KEY REFERENCES keys (n),
    messages INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    written INTEGER NOT NULL DEFAULT 0 CHECK (written IN (0, 1))
  ) STRICT`,
  `INSERT INTO said (peer, messages, bytes)
    SELECT sender, count(*), sum(octet_length(text)) FROM messages GROUP BY sender`,
  `INSERT INTO said (peer, messages, bytes, written)
    SELECT DISTINCT receiver, 0, 0, 1 FROM messages WHERE receiver IS NOT NULL
    ON CONFLICT (peer) DO UPDATE SET written = 1`,
  `CREATE TRIGGER messages_said AFTER INSERT ON messages BEGIN
    INSERT INTO said (peer, messages, bytes) VALUES (new.sender, 1, octet_length(new.text))
      ON CONFLICT (peer) DO UPDATE SET messages = messages + 1, bytes = bytes + excluded.bytes;
    INSERT INTO said (peer, messages, bytes, written) SELECT new.receiver, 0, 0, 1 WHERE new.receiver IS NOT NULL
      ON CONFLICT (peer) DO UPDATE SET written = 1 WHERE written = 0;
  END`,
  `CREATE TRIGGER messages_unsaid AFTER DELETE ON messages BEGIN
    UPDATE said SET messages = messages - 1, bytes = bytes - octet_length(old.text) WHERE peer = old.sender;
    DELETE FROM said WHERE peer = old.sender AND messages = 0 AND written = 0;
  END`,
  `CREATE VIEW said_unverified AS
    SELECT s.peer, s.messages, s.bytes, s.written FROM said s LEFT JOIN peers p ON p.key = s.peer
    WHERE p.trust IS NOT 'verified' AND EXISTS (SELECT 1 FROM incoming i WHERE i.peer = s.peer)`
]

/** Being added by a person is a decision; being dialled because it announces itself (`wanted`) is none. */
const added = `ALTER TABLE peers ADD COLUMN added INTEGER NOT NULL DEFAULT 0 CHECK (added IN (0, 1))`

/** The conversation with everyone is read on its own, however much was said to single peers. */
const toEveryone = `CREATE INDEX messages_to_everyone ON messages (n) WHERE receiver IS NULL`

export const migrations: ReadonlyArray<Migration> = [
  { id: 1, name: "peers and settings", up: statements(keys, peers, addresses, settings) },
  { id: 2, name: "messages", up: statements(...messages, outgoing, incoming, ...recipients, ...unread, ...search) },
  { id: 3, name: "transfers", up: statements(...transfers) },
  { id: 4, name: "how transfers ended", up: statements(...ended) },
  { id: 5, name: "what was picked for sends that are over", up: statements(...picked) },
  { id: 6, name: "messages to everyone", up: statements(toEveryone) },
  { id: 7, name: "offers that nobody answered", up: statements(...unanswered) },
  { id: 8, name: "how much each sender said", up: statements(...said) },
  { id: 9, name: "peers that a person added", up: statements(added) }
]

/** How far these steps lead. */
export const versionOf = (steps: ReadonlyArray<Migration>): number => steps.at(-1)?.id ?? 0

/** Takes every step that this database, which stands at `version`, has not taken: all of them or none. */
export const migrate = Effect.fn("Migrations.migrate")(function* (
  sql: SqlClient,
  version: number,
  steps: ReadonlyArray<Migration>
) {
  const missing = steps.filter((step) => step.id > version)
  if (missing.length === 0) return missing
  yield* sql.withTransaction(
    Effect.gen(function* () {
      for (const step of missing) yield* step.up(sql)
      // Neither takes a parameter; both are numbers of this program.
      yield* sql.unsafe(`PRAGMA application_id = ${applicationId}`).unprepared
      yield* sql.unsafe(`PRAGMA user_version = ${versionOf(missing)}`).unprepared
    })
  )
  return missing
})
