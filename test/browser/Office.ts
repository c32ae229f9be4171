/** A node in daily use, for the pictures that the README shows. */
import * as Effect from "effect/Effect"
import type { Page } from "playwright-core"
import { act } from "./Acts.ts"
import { answer, idFor, idOf, transfer } from "./Crowd.ts"
import type { Node } from "./Stage.ts"

/** People and things as in an office, for the pictures that the README shows. */
export const office = Effect.fnUntraced(function* (page: Page, of: Node) {
  const { id } = yield* of.ask<{ readonly id: string }>("GET", "/api/node")
  const now = yield* Effect.clockWith((clock) => clock.currentTimeMillis)
  const people = ["Workshop NAS", "Amélie’s laptop", "Jonas", "darkroom", "Studio Mac mini", "Σοφία"].map(
    (name, at) => ({
      id: idOf(at * 37 + 5),
      name,
      state: at < 4 ? "connected" : "away",
      trust: at === 0 || at === 1 ? "verified" : "unverified",
      addresses: [`192.168.1.${at + 20}:9090`],
      accept: null,
      lastSeen: now - at * 3_000_000
    })
  )
  const said = [
    [1, "Morning! The scans from yesterday are on their way to everyone."],
    [-1, "Great, thank you. I take them as they come."],
    [2, "Got all 1,204. That was quick 🙌"],
    [3, "Here too. Prints at four, see https://darkroom.example/board"],
    [-1, "Perfect. The contact sheets follow as soon as the export is through."],
    [1, "No hurry, I am at the desk until six."]
  ] as const
  const talk = said.map(([from, text], at) => ({
    id: idFor(at + 40),
    from: from === -1 ? id : (people[from]?.id ?? id),
    to: null,
    text,
    sentAt: now - (said.length - at) * 190_000,
    state: at === 1 ? "read" : "delivered",
    recipients: from === -1 ? people.slice(0, 4).map((peer) => ({ peer: peer.id, state: "delivered" })) : []
  }))
  const moved = (at: number, peer: number, change: Record<string, unknown>) =>
    transfer(at, { peer: people[peer]?.id, startedAt: now - 60_000, ...change })
  const traffic = [
    moved(1, 2, { state: "offered", name: "Quotes 2026", files: 18, directories: 2, totalBytes: 46_300_000, bytes: 0 }),
    moved(2, 0, { name: "Archive, third quarter", files: 9_412, filesDone: 5_120, directories: 240 }),
    moved(3, 1, {
      direction: "send",
      name: "contact-sheets.tif",
      files: 1,
      directories: 0,
      bytes: 310_000_000,
      totalBytes: 420_000_000,
      bytesPerSecond: 92_000_000,
      secondsLeft: 2
    }),
    moved(4, 3, {
      state: "done",
      name: "Scans",
      files: 1_204,
      directories: 12,
      totalBytes: 3_900_000_000,
      published: ["/home/mira/received_files/Scans"]
    })
  ]
  yield* act(async () => {
    await page.getByRole("heading", { name: "Everyone" }).waitFor()
    await answer(page, "/api/peers", people)
    await answer(page, "/api/messages/page", { items: talk.toReversed(), before: null })
    await answer(page, "/api/transfers", traffic)
    await page.reload()
    await page.getByText("No hurry").waitFor()
  })
})
