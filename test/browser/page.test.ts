/** The page as a person uses it: two real nodes, two real pages, and everything they do with each other. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { createHash, randomBytes } from "node:crypto"
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import type { Page } from "playwright-core"
import { audit, isMissing, node, open, pair, picture, type Stage, stage, temporary, type Trouble } from "./Stage.ts"

const clean = (trouble: Trouble) => {
  assert.deepStrictEqual(trouble.errors, [])
  assert.deepStrictEqual(trouble.foreign, [])
}

const act = (run: () => Promise<unknown>) => Effect.asVoid(Effect.promise(run))

const talkTo = (page: Page, name: string) =>
  act(() => page.getByRole("navigation", { name: "Peers" }).getByRole("button", { name }).click())

const say = (page: Page, text: string) =>
  act(async () => {
    await page.getByRole("textbox", { name: /^Message/ }).fill(text)
    await page.keyboard.press("Enter")
  })

const sees = (page: Page, text: string) => act(() => page.getByText(text, { exact: true }).first().waitFor())

/** Every file below a folder, with its digest. */
const tree = (top: string): ReadonlyArray<string> =>
  readdirSync(top, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => {
      const path = join(entry.parentPath, entry.name)
      return `${path.slice(top.length)} ${createHash("sha256").update(readFileSync(path)).digest("hex")}`
    })
    .toSorted()

const words = (page: Page) =>
  Effect.promise(async () => {
    const list = page.getByRole("list", { name: "The words" })
    await list.waitFor()
    return list.getByRole("listitem").allInnerTexts()
  })

const all = (it: Stage) => {
  it.effect("paints at once, connects by an address, and two people talk", () =>
    Effect.gen(function* () {
      const [alice, bob] = yield* Effect.all([node("alice"), node("bob")], { concurrency: 2 })
      const left = yield* open(alice)
      yield* act(() => left.page.getByText("Nobody yet").waitFor())
      const painted = yield* Effect.promise(() =>
        left.page.evaluate<number>(`performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? Infinity`)
      )
      assert.isBelow(painted, 1000, "first paint")
      assert.notInclude(left.page.url(), "code=", "the code is taken out of the address")
      yield* picture(left.page, "empty-light")
      const right = yield* open(bob, { theme: "dark" })
      yield* act(async () => {
        await left.page.getByRole("button", { name: "Add a peer" }).click()
        await left.page.getByLabel("Address and port").fill("127.0.0.1:1")
        await left.page.getByRole("button", { name: "Connect", exact: true }).click()
        await left.page
          .getByRole("alert")
          .getByText(/refused the connection/)
          .waitFor()
        await left.page.getByLabel("Address and port").fill(bob.address)
        await left.page.getByRole("button", { name: "Connect", exact: true }).click()
        await left.page.getByRole("heading", { name: "bob" }).waitFor()
      })
      yield* say(left.page, "hello bob, can you read this? 👋")
      yield* act(() => left.page.getByText("Delivered").waitFor({ state: "attached" }))
      yield* act(() => right.page.getByRole("button", { name: /alice.*1 unread/ }).waitFor())
      yield* talkTo(right.page, "alice")
      yield* sees(right.page, "hello bob, can you read this? 👋")
      yield* say(right.page, "ja: https://example.org/a?b=1, siehst du?")
      yield* act(async () => {
        await left.page.getByRole("link", { name: "https://example.org/a?b=1" }).click()
        await left.page
          .getByRole("dialog", { name: "Open this link?" })
          .getByText("example.org", { exact: true })
          .waitFor()
        await left.page.keyboard.press("Escape")
      })
      yield* picture(left.page, "chat-light")
      yield* picture(right.page, "chat-dark")
      clean(left.trouble)
      clean(right.trouble)
    })
  )

  it.effect("sends a chosen folder, and the other side takes it beside what is there", () =>
    Effect.gen(function* () {
      const { alice, bob } = yield* pair
      const folder = join(yield* temporary, "photos")
      mkdirSync(join(folder, "ünïcode 🏔"), { recursive: true })
      writeFileSync(join(folder, "big.bin"), randomBytes(40 * 1024 * 1024))
      for (let at = 0; at < 60; at++) writeFileSync(join(folder, "ünïcode 🏔", `${at}.jpg`), randomBytes(at * 50))
      mkdirSync(join(bob.received, "photos"), { recursive: true })
      writeFileSync(join(bob.received, "photos", "big.bin"), "mine")
      const left = yield* open(alice, { theme: "dark" })
      const right = yield* open(bob)
      yield* talkTo(left.page, "bob")
      yield* act(async () => {
        await left.page.getByLabel("Folder to send").setInputFiles(folder)
        const dialog = left.page.getByRole("dialog", { name: "Send these files" })
        await dialog.getByText("61 files, 2 folders").waitFor()
      })
      yield* picture(left.page, "send-dark")
      yield* act(async () => {
        await left.page.getByRole("dialog").getByRole("button", { name: "Send", exact: true }).click()
        const offer = right.page.getByRole("article", { name: "Offer: photos" })
        await offer.getByText("Not verified").waitFor()
      })
      yield* picture(right.page, "offer-light")
      yield* say(left.page, "look what I have for you")
      yield* act(async () => {
        await right.page.getByRole("button", { name: "Look at it" }).click()
        const dialog = right.page.getByRole("dialog", { name: "An offer" })
        await dialog.getByRole("radio", { name: /Keep both/ }).check()
      })
      yield* picture(right.page, "offer-dialog-light")
      assert.deepStrictEqual(yield* audit(right.page), [])
      yield* act(async () => {
        await right.page.getByRole("dialog").getByRole("button", { name: "Accept" }).click()
        await right.page.getByRole("article", { name: "photos, Received" }).waitFor()
        await left.page.getByRole("article", { name: "photos, Sent" }).waitFor()
      })
      yield* picture(left.page, "done-dark")
      assert.deepStrictEqual(tree(join(bob.received, "photos (1)")), tree(folder))
      assert.strictEqual(readFileSync(join(bob.received, "photos", "big.bin"), "utf8"), "mine")
      clean(left.trouble)
      clean(right.trouble)
    })
  )

  it.effect("takes files dropped on a peer, and what is declined never arrives", () =>
    Effect.gen(function* () {
      const { alice, bob } = yield* pair
      const left = yield* open(alice)
      const right = yield* open(bob, { width: 360, height: 700 })
      yield* act(async () => {
        const drop = await left.page.evaluateHandle(
          `(() => { const drop = new DataTransfer(); drop.items.add(new File(["dropped"], "note.txt")); return drop })()`
        )
        await left.page.getByRole("button", { name: /^bob/ }).dispatchEvent("drop", { dataTransfer: drop })
        await left.page.getByRole("dialog", { name: "Send this file" }).getByText("note.txt").waitFor()
        await left.page.getByRole("dialog").getByRole("button", { name: "Send", exact: true }).click()
        await right.page
          .getByRole("navigation", { name: "Rooms" })
          .getByRole("button", { name: /Transfers/ })
          .click()
        await right.page.getByRole("article", { name: "Offer: note.txt" }).waitFor()
      })
      yield* picture(right.page, "offer-narrow")
      yield* act(async () => {
        await right.page.getByRole("button", { name: "Decline" }).click()
        await left.page.getByRole("article", { name: "note.txt, Declined" }).waitFor()
      })
      const wide = yield* Effect.promise(() =>
        right.page.evaluate<number>("document.documentElement.scrollWidth - document.documentElement.clientWidth")
      )
      assert.strictEqual(wide, 0, "nothing lies beside a screen of 360 pixels")
      clean(left.trouble)
    })
  )

  it.effect("says that its node is gone, and goes on by itself when it is back", () =>
    Effect.gen(function* () {
      const { alice, bob } = yield* pair
      const left = yield* open(alice)
      yield* act(() => left.page.getByRole("button", { name: /^bob/ }).waitFor())
      yield* act(async () => {
        alice.first.child.kill("SIGTERM")
        await alice.first.ended
        await left.page.getByText(/The node does not answer/).waitFor()
      })
      yield* picture(left.page, "lost-light")
      assert.deepStrictEqual(yield* audit(left.page), [])
      yield* alice.up
      yield* act(() => left.page.getByText("Connected to the node again.").waitFor())
      yield* bob.ask("POST", "/api/peers", { address: alice.address })
      yield* bob.ask("POST", "/api/messages", { text: "are you back?", to: null })
      yield* sees(left.page, "are you back?")
    })
  )

  it.effect("opens for nobody without a link, and each link once", () =>
    Effect.gen(function* () {
      const alice = yield* node("alice")
      const stranger = yield* open(alice, { link: false })
      yield* act(() => stranger.page.getByRole("heading", { name: "Open Kith from its link" }).waitFor())
      assert.deepStrictEqual(yield* audit(stranger.page), [])
      yield* picture(stranger.page, "locked-light")
      const owner = yield* open(alice, { theme: "contrast" })
      yield* act(() => owner.page.getByText("Nobody yet").waitFor())
      const used = yield* Effect.promise(() =>
        owner.page.evaluate<number>(
          `fetch("/open", { method: "POST", headers: { "content-type": "application/json" }, body: '{"code":"x"}' }).then((r) => r.status)`
        )
      )
      assert.isAtLeast(used, 400)
      yield* act(async () => {
        await owner.page.reload()
        await owner.page.getByText("Nobody yet").waitFor()
      })
      assert.strictEqual(yield* Effect.promise(() => owner.page.evaluate<string>("document.cookie")), "")
    })
  )

  it.effect("compares words on both screens, and then knows the key", () =>
    Effect.gen(function* () {
      const { alice, bob } = yield* pair
      const left = yield* open(alice)
      const right = yield* open(bob, { theme: "dark" })
      yield* talkTo(left.page, "bob")
      yield* act(() => left.page.getByRole("button", { name: "Verify this peer" }).click())
      const shown = yield* words(left.page)
      assert.lengthOf(shown, 4)
      assert.deepStrictEqual(yield* words(right.page), shown)
      yield* picture(right.page, "verify-dark")
      assert.deepStrictEqual(yield* audit(right.page), [])
      yield* act(async () => {
        await left.page.getByRole("button", { name: "They are the same" }).click()
        await right.page.getByRole("button", { name: "They are the same" }).click()
        await left.page.getByRole("status").getByText("Verified").waitFor()
        await left.page.getByRole("dialog").getByRole("button", { name: "Close", exact: true }).last().click()
        await left.page.getByRole("navigation", { name: "Peers" }).getByRole("img", { name: "verified" }).waitFor()
      })
      clean(left.trouble)
      clean(right.trouble)
    })
  )

  it.effect("makes a ticket that the other page joins by", () =>
    Effect.gen(function* () {
      const [alice, bob] = yield* Effect.all([node("alice"), node("bob")], { concurrency: 2 })
      const left = yield* open(alice)
      const right = yield* open(bob)
      const ticket = yield* Effect.promise(async () => {
        await left.page.getByRole("button", { name: "Add a peer" }).click()
        await left.page.getByRole("tab", { name: "Invite" }).click()
        await left.page.getByRole("button", { name: "Make a ticket" }).click()
        await left.page.getByRole("img", { name: "The ticket as a QR code" }).waitFor()
        return left.page.getByText(/^kith1:/).innerText()
      })
      yield* picture(left.page, "invite-light")
      assert.deepStrictEqual(yield* audit(left.page), [])
      yield* act(async () => {
        await right.page.getByRole("button", { name: "Add a peer" }).click()
        await right.page.getByRole("tab", { name: "Join" }).click()
        await right.page.getByLabel("Ticket").fill(`${ticket.slice(0, -4)}zzzz`)
        await right.page.getByRole("button", { name: "Join" }).click()
        await right.page.getByRole("alert").waitFor()
        await right.page.getByLabel("Ticket").fill(ticket)
        await right.page.getByRole("button", { name: "Join" }).click()
        await right.page.getByRole("navigation", { name: "Peers" }).getByRole("img", { name: "verified" }).waitFor()
      })
      clean(left.trouble)
    })
  )
}

if (isMissing) describe.skip("the page", () => void it("needs chromium", () => undefined))
else stage("the page", all)
