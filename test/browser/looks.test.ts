/**
 * How the page looks and holds: every main state in each theme is free of findings by axe, names that try to be more
 * than names stay text, and long lists stay short in the document.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { createHash } from "node:crypto"
import type { Page } from "playwright-core"
import { base32 } from "../../src/schema/PeerId.ts"
import { audit, isMissing, type Node, node, open, picture, type Stage, stage } from "./Stage.ts"

const act = (run: () => Promise<unknown>) => Effect.asVoid(Effect.promise(run))

/** A peer id, from a number. */
const idOf = (at: number): string => base32(createHash("sha256").update(String(at)).digest())

const hostile = [
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
const idFor = (at: number): string => base32(createHash("sha256").update(`id ${at}`).digest().subarray(0, 16))

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

const transfer = (at: number, change: Record<string, unknown>) => ({
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
  transfer(1, { state: "offered", bytes: 0, bytesPerSecond: 0, secondsLeft: null }),
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
    problems: [{ path: `${hostile[1]}/aux.txt`, reason: "this disk cannot store the name" }],
    problemCount: 1,
    published: ["/home/someone/received_files/photos"]
  }),
  transfer(7, { state: "done", bytes: 2_100_000_000, published: ["/home/someone/received_files/W"] })
]

/** Lets the page see a node with much in it: the lists are answered here, all else by the real node. */
const crowd = Effect.fnUntraced(function* (page: Page, of: Node, peerCount: number, messageCount: number) {
  const { id } = yield* of.ask<{ readonly id: string }>("GET", "/api/node")
  const give = (path: string, value: unknown) =>
    page.route(
      (url) => url.pathname === path,
      (route) => (route.request().method() === "GET" ? route.fulfill({ json: value }) : route.continue())
    )
  yield* act(async () => {
    // The link is good once: a page that is loaded again before it has its token has none.
    await page.getByRole("heading", { name: "Everyone" }).waitFor()
    await give("/api/peers", peers(peerCount))
    await give("/api/messages", messages(messageCount, id))
    await give("/api/transfers", transfers)
    await page.reload()
    await page.getByRole("heading", { name: "Everyone" }).waitFor()
  })
})

const themes = ["light", "dark", "contrast"] as const

/** People and things as in an office, for the pictures that the README shows. */
const office = Effect.fnUntraced(function* (page: Page, of: Node) {
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
    for (const [path, value] of [
      ["/api/peers", people],
      ["/api/messages", talk],
      ["/api/transfers", traffic]
    ] as const) {
      await page.route(
        (url) => url.pathname === path,
        (route) => route.fulfill({ json: value })
      )
    }
    await page.reload()
    await page.getByText("No hurry").waitFor()
  })
})

const all = (it: Stage) => {
  it.effect.each(["light", "dark"] as const)("is worth a picture: %s", (theme) =>
    Effect.gen(function* () {
      const mira = yield* node("Mira")
      const { page } = yield* open(mira, { theme, width: 1360, height: 860 })
      yield* office(page, mira)
      assert.deepStrictEqual(yield* audit(page), [])
      yield* picture(page, `readme-${theme}`)
    })
  )

  it.effect.each(themes)("has nothing that axe finds: %s", (theme) =>
    Effect.gen(function* () {
      const alice = yield* node("alice")
      const { page, trouble } = yield* open(alice, { theme })
      yield* act(() => page.getByText("Nobody yet").waitFor())
      assert.deepStrictEqual(yield* audit(page), [], "empty")
      yield* crowd(page, alice, 40, 300)
      yield* picture(page, `busy-${theme}`)
      assert.deepStrictEqual(yield* audit(page), [], "busy")
      const closed = () => page.keyboard.press("Escape")
      for (const [button, title] of [
        ["Settings", "Settings"],
        ["Add a peer", "Add a peer"],
        ["Look at it", "An offer"]
      ] as const) {
        yield* act(async () => {
          await page.getByRole("button", { name: button }).first().click()
          await page.getByRole("dialog", { name: title }).waitFor()
        })
        if (button === "Settings")
          yield* act(() => page.getByRole("radiogroup").or(page.getByLabel("Name")).first().waitFor())
        yield* picture(page, `${title.toLowerCase().replaceAll(" ", "-")}-${theme}`)
        assert.deepStrictEqual(yield* audit(page), [], title)
        yield* act(closed)
      }
      yield* act(async () => {
        await page.getByRole("button", { name: "Settings" }).click()
        await page.getByRole("button", { name: "Check this node" }).click()
        await page.getByText("Announced and heard").waitFor()
      })
      yield* picture(page, `diagnostics-${theme}`)
      assert.deepStrictEqual(yield* audit(page), [], "diagnostics")
      yield* act(async () => {
        await closed()
        await page.getByRole("navigation", { name: "Peers" }).getByRole("button", { name: "machine 9" }).click()
        await page.getByRole("button", { name: "About this peer" }).click()
        await page.getByRole("dialog").waitFor()
      })
      yield* picture(page, `peer-${theme}`)
      assert.deepStrictEqual(yield* audit(page), [], "peer")
      assert.deepStrictEqual(trouble.errors, [])
    })
  )

  it.effect("shows names as text, whatever they try", () =>
    Effect.gen(function* () {
      const alice = yield* node("alice")
      const { page, trouble } = yield* open(alice)
      yield* crowd(page, alice, 12, 120)
      yield* act(() =>
        page
          .getByText(hostile[0] ?? "")
          .first()
          .waitFor()
      )
      const found = yield* Effect.promise(() =>
        page.evaluate<ReadonlyArray<unknown>>(`[
          document.title === "owned",
          document.querySelectorAll("img").length,
          document.querySelectorAll("a[href^='javascript']").length,
          /[\\u202e\\u2066\\u0000\\u001b]/.test(document.body.innerText),
          document.documentElement.scrollWidth - document.documentElement.clientWidth
        ]`)
      )
      assert.deepStrictEqual(found, [false, 0, 0, false, 0])
      assert.deepStrictEqual(trouble.errors, [])
      assert.deepStrictEqual(trouble.foreign, [])
    })
  )

  it.effect("draws only what is seen of 500 peers and 10,000 messages, and stays at the newest", () =>
    Effect.gen(function* () {
      const alice = yield* node("alice")
      const { page } = yield* open(alice)
      yield* crowd(page, alice, 500, 10_000)
      yield* act(() => page.getByText("message 9998", { exact: true }).waitFor())
      const drawn = yield* Effect.promise(() => page.evaluate<number>(`document.querySelectorAll("li").length`))
      assert.isBelow(drawn, 120)
      const slowest = yield* Effect.promise(() =>
        page.evaluate<number>(`new Promise((done) => {
          const list = document.querySelector('[aria-label="Messages"]')
          let last = performance.now(), slowest = 0, frames = 0
          const step = (now) => {
            slowest = Math.max(slowest, now - last)
            last = now
            list.scrollTop -= 400
            if (++frames < 60) requestAnimationFrame(step)
            else done(slowest)
          }
          requestAnimationFrame(step)
        })`)
      )
      assert.isBelow(slowest, 250, "milliseconds of the slowest frame while scrolling")
      yield* act(async () => {
        await page.getByRole("button", { name: "To the newest" }).waitFor()
        await page.getByLabel("Search peers").fill("machine 499")
        await page.getByRole("button", { name: /machine 499/ }).waitFor()
      })
    })
  )

  it.effect("is used by the keyboard alone", () =>
    Effect.gen(function* () {
      const alice = yield* node("alice")
      const { page } = yield* open(alice)
      yield* crowd(page, alice, 12, 10)
      const reach = (name: RegExp) =>
        Effect.promise(async () => {
          for (let at = 0; at < 60; at++) {
            await page.keyboard.press("Tab")
            const [label, ring] = await page.evaluate<readonly [string, string]>(`(() => {
              const here = document.activeElement
              return [here?.getAttribute("aria-label") ?? here?.textContent ?? "", getComputedStyle(here).outlineStyle]
            })()`)
            if (name.test(label)) return ring
          }
          return "never reached"
        })
      assert.strictEqual(yield* reach(/^Settings$/), "solid")
      yield* act(async () => {
        await page.keyboard.press("Enter")
        await page.getByRole("dialog", { name: "Settings" }).waitFor()
        await page.keyboard.press("Escape")
        await page.getByRole("dialog").waitFor({ state: "detached" })
      })
      const back = yield* Effect.promise(() =>
        page.evaluate<string>(`document.activeElement?.getAttribute("aria-label")`)
      )
      assert.strictEqual(back, "Settings", "the focus comes back to where it was")
      assert.strictEqual(yield* reach(/machine 9/), "solid")
      yield* act(async () => {
        await page.keyboard.press("Enter")
        await page.getByRole("heading", { name: "machine 9" }).waitFor()
      })
    })
  )
}

if (isMissing) describe.skip("the look of the page", () => void it("needs chromium", () => undefined))
else stage("the look of the page", all)
