/** Nodes with much in them, and names that try to be more than names. */
import * as Effect from "effect/Effect"
import { createHash } from "node:crypto"
import type { Page } from "playwright-core"
import { base32 } from "../../src/schema/PeerId.ts"
import { act } from "./Acts.ts"
import type { Node } from "./Stage.ts"

/** A peer id, from a number. */
export const idOf = (at: number): string => base32(createHash("sha256").update(String(at)).digest())

export const hostile = [
  `<img src=x onerror="document.title='owned'">`,
  "\u202Egpj.exe",
  "אבג \u2066דהו\u2069",
  "👩‍👩‍👧‍👦".repeat(2),
  "javascript:alert(1)",
  "a\u0000b\u001b[31mred",
  "W".repeat(64)
]

const states = ["connected", "away", "discovered", "connecting"] as const

const peers = (count: number) =>
  Array.from({ length: count }, (_, at) => ({
    id: idOf(at),
    name: hostile[at] ?? `machine ${at}`,
    state: states[at < 12 ? 0 : at % 4],
    trust: at % 5 === 1 ? "verified" : at === 8 ? "blocked" : "unverified",
    addresses: [`192.0.2.${at % 250}:9090`],
    accept: null,
    lastSeen: 1_795_000_000_000
  }))

/** The id of a message, a transfer or a group, from a number. */
export const idFor = (at: number): string => base32(createHash("sha256").update(`id ${at}`).digest().subarray(0, 16))

const messages = (count: number, me: string) =>
  Array.from({ length: count }, (_, at) => {
    const mine = at % 3 === 0
    return {
      id: idFor(at),
      from: mine ? me : idOf(at % 7),
      to: null,
      text: at % 50 === 1 ? `${hostile[at % 7]} `.repeat(20) : `message ${at}`,
      sentAt: 1_795_000_000_000 + at * 60_000,
      state: "delivered",
      recipients: mine ? [{ peer: idOf(0), state: "delivered" }] : []
    }
  })

export const transfer = (at: number, change: Record<string, unknown>) => ({
  id: idFor(at),
  direction: "receive",
  state: "running",
  group: idFor(at),
  peer: idOf(at % 7),
  name: hostile[at % 7],
  files: 1200,
  directories: 30,
  bytes: 700_000_000,
  totalBytes: 2_100_000_000,
  filesDone: 400,
  bytesPerSecond: 81_000_000,
  secondsLeft: 17,
  priority: "normal",
  pausedBy: null,
  error: null,
  published: [],
  problems: [],
  problemCount: 0,
  startedAt: 1_795_000_000_000,
  ...change
})

const transfers = [
  transfer(1, {
    state: "offered",
    bytes: 0,
    bytesPerSecond: 0,
    secondsLeft: null,
    listed: true,
    freeBytes: 1_200_000_000
  }),
  transfer(2, {}),
  transfer(3, { direction: "send", state: "paused", pausedBy: "peer", bytesPerSecond: 0, secondsLeft: null }),
  transfer(4, { direction: "send", state: "waiting", bytesPerSecond: 0, secondsLeft: null }),
  transfer(5, {
    state: "failed",
    error: "the disk is full: 2.1 GB are needed, 1 GB is free. Make room, then ask for it again",
    bytesPerSecond: 0,
    secondsLeft: null
  }),
  transfer(6, {
    state: "partial",
    problems: [{ kind: "leftOut", path: `${hostile[1]}/aux.txt`, reason: "this disk cannot store the name" }],
    problemCount: 1,
    published: ["/home/someone/received_files/photos"],
    renamed: [{ path: "photos/list.txt", name: "photos/list (1).txt" }],
    notTaken: { count: 12, paths: [] }
  }),
  transfer(7, { state: "done", bytes: 2_100_000_000, published: ["/home/someone/received_files/W"] })
]

/** What is in the offer. */
const list = [
  ...["photos", "photos/2025", "photos/empty"].map((path) => ({ path, kind: "d" })),
  ...Array.from({ length: 8 }, (_, at) => ({ path: `photos/2025/image ${at + 1}.jpg`, kind: "f" })),
  ...hostile.map((name) => ({ path: `photos/${name.slice(0, 60)}`, kind: "f" })),
  { path: "photos/aux", kind: "f", state: "leftOut", reason: "this disk cannot store the name" }
].map((entry, index) => ({
  index,
  size: entry.kind === "f" ? 3_400_000 + index * 77_000 : 0,
  mtime: 1_795_000_000_000,
  executable: false,
  state: "offered",
  reason: null,
  digest: null,
  ...entry
}))

/** Answers what the page reads from its node at a path; what it asks to be done there goes to the node. */
export const answer = (page: Page, path: string, value: unknown) =>
  page.route(
    (url) => url.pathname === path,
    (route) => (route.request().method() === "GET" ? route.fulfill({ json: value }) : route.continue())
  )

/** Lets the page see a node with much in it: the lists are answered here, all else by the real node. */
export const crowd = Effect.fnUntraced(function* (page: Page, of: Node, peerCount: number, messageCount: number) {
  const { id } = yield* of.ask<{ readonly id: string }>("GET", "/api/node")
  yield* act(async () => {
    // The link is good once: a page that is loaded again before it has its token has none.
    await page.getByRole("heading", { name: "Everyone" }).waitFor()
    await answer(page, "/api/peers", peers(peerCount))
    await answer(page, "/api/messages/page", { items: messages(messageCount, id).toReversed(), before: null })
    await answer(page, "/api/transfers", transfers)
    await answer(page, `/api/transfers/${idFor(1)}/entries`, { items: list, next: null })
    await page.reload()
    await page.getByRole("heading", { name: "Everyone" }).waitFor()
  })
})
