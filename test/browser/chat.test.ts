/** Talking on the page: what was delivered, what was read, what is new, and finding what was said long ago. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { inert } from "../../src/schema/Text.ts"
import { act, clean, peersOf, say, sees, talkTo } from "./Acts.ts"
import { audit, isMissing, node, open, pair, picture, type Stage, stage } from "./Stage.ts"

const all = (it: Stage) => {
  it.effect("connects by an address, and two people talk", () =>
    Effect.gen(function* () {
      const [alice, bob] = yield* Effect.all([node("alice"), node("bob")], { concurrency: 2 })
      const left = yield* open(alice)
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
      yield* act(async () => {
        await right.page.getByRole("button", { name: /alice.*1 unread/ }).waitFor()
        // A screen reader says it without being asked.
        await right.page.locator("[aria-live=polite]").getByText("alice: hello bob").waitFor({ state: "attached" })
      })
      assert.match(yield* Effect.promise(() => right.page.title()), /^\(1\)/)
      yield* talkTo(right.page, "alice")
      yield* sees(right.page, "hello bob, can you read this? 👋")
      yield* act(async () => {
        await left.page.getByText("Read", { exact: true }).waitFor({ state: "attached" })
        await right.page.getByRole("button", { name: /alice.*unread/ }).waitFor({ state: "detached" })
      })
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

  it.effect("counts what is new on the node, whichever page reads it", () =>
    Effect.gen(function* () {
      const { alice, bob } = yield* pair
      const { id } = yield* alice.ask<{ readonly id: string }>("GET", "/api/node")
      for (const text of ["one", "two", "three"]) yield* bob.ask("POST", "/api/messages", { text, to: id, wait: 9_000 })
      const first = yield* open(alice)
      const second = yield* open(alice)
      const unread = (page: typeof first.page) => peersOf(page).getByRole("button", { name: /bob.*3 unread/ })
      yield* act(() => unread(first.page).waitFor())
      yield* act(() => unread(second.page).waitFor())
      yield* picture(first.page, "unread-light")
      yield* talkTo(first.page, "bob")
      yield* act(() => unread(second.page).waitFor({ state: "detached" }))
    })
  )

  it.effect("reads further back as a person scrolls, and finds what the page has not read", () =>
    Effect.gen(function* () {
      const { alice } = yield* pair
      const said = Array.from({ length: 1_150 }, (_, at) => `${at === 3 ? "the needle in" : "line"} ${at}`)
      const tell = (text: string) => alice.ask("POST", "/api/messages", { text, to: null })
      // The first and the last are these, whatever the order of those between them.
      yield* Effect.forEach(said.slice(0, 1), tell)
      yield* Effect.forEach(said.slice(1, -1), tell, { concurrency: 16 })
      yield* Effect.forEach(said.slice(-1), tell)
      const { page, trouble } = yield* open(alice)
      yield* sees(page, "line 1149")
      yield* act(async () => {
        await page.getByRole("button", { name: "Search this conversation" }).click()
        await page.getByRole("searchbox", { name: "Search this conversation" }).fill("needle")
        await page.getByText("the needle in 3", { exact: true }).waitFor()
        await page.getByRole("status").getByText("1 message found").waitFor()
      })
      yield* picture(page, "search-light")
      assert.deepStrictEqual(yield* audit(page), [])
      yield* act(async () => {
        await page.getByRole("searchbox", { name: "Search this conversation" }).fill("nowhere")
        await page.getByText("Nothing found").waitFor()
        // By the keyboard alone it ends as well, and the focus goes where it came from.
        await page.keyboard.press("Escape")
        await page.getByText("line 1149", { exact: true }).waitFor()
        await page.getByRole("searchbox").waitFor({ state: "detached" })
        assert.isTrue(
          await page
            .getByRole("button", { name: "Search this conversation" })
            .evaluate((button) => button.matches(":focus"))
        )
        for (let at = 0; at < 40; at++) {
          await page.evaluate(`document.querySelector('[aria-label="Messages"]').scrollTop = 0`)
          if (await page.getByText("line 0", { exact: true }).isVisible()) return
          await page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        }
      })
      yield* sees(page, "line 0")
      clean(trouble)
    })
  )

  it.effect("loses no message that was not sent, though more was written or another conversation is open", () =>
    Effect.gen(function* () {
      const { alice } = yield* pair
      const { page } = yield* open(alice)
      const line = page.getByRole("textbox", { name: /^Message/ })
      const asked: Array<() => Promise<void>> = []
      yield* act(() => page.route("**/api/messages", (route) => void asked.push(() => route.abort("connectionreset"))))
      const fails = async (meanwhile: () => Promise<unknown>) => {
        const request = page.waitForRequest("**/api/messages")
        await page.keyboard.press("Enter")
        await request
        await meanwhile()
        await asked.shift()?.()
      }
      yield* act(async () => {
        await line.fill("one")
        await fails(() => line.fill("two"))
        await page.getByRole("alert").waitFor()
        assert.strictEqual(await line.inputValue(), "one\ntwo")
        await fails(() => peersOf(page).getByRole("button", { name: /bob/ }).click())
        await page.getByRole("status").getByText("It is back in the line").waitFor()
        await peersOf(page)
          .getByRole("button", { name: /Everyone/ })
          .click()
        assert.strictEqual(await line.inputValue(), "one\ntwo")
      })
    })
  )

  it.effect("notifies where that is allowed and the page is in the background", () =>
    Effect.gen(function* () {
      const [alice, bob] = yield* Effect.all([node("alice"), node("bob", "--accept", "nobody")], { concurrency: 2 })
      yield* alice.ask("POST", "/api/peers", { address: bob.address })
      const { page } = yield* open(alice, { permissions: ["notifications"] })
      yield* act(async () => {
        await page.evaluate(`(() => {
          globalThis.notified = []
          class Recorded extends EventTarget {
            constructor(title, options) { super(); notified.push(title + ": " + options.body) }
            static permission = "granted"
            static requestPermission = async () => "granted"
            close() {}
          }
          globalThis.Notification = Recorded
        })()`)
        await page.getByRole("button", { name: "Settings" }).click()
        await page.getByRole("switch", { name: "Notifications" }).check()
        await page.keyboard.press("Escape")
        await page.evaluate(`Object.defineProperty(document, "visibilityState", { get: () => "hidden" })`)
      })
      yield* bob.ask("POST", "/api/messages", { text: "anybody there?", to: null })
      yield* sees(page, "anybody there?")
      const notified = yield* Effect.promise(() => page.evaluate<ReadonlyArray<string>>("notified"))
      assert.deepStrictEqual(notified, ["bob: anybody there?"])
      yield* bob.ask("POST", "/api/messages", { text: "\u001b[2Jpay\u202etxt.exe", to: null })
      const aloud = page.locator("[aria-live=polite]")
      yield* act(() => aloud.getByText(/pay.*txt/).waitFor({ state: "attached" }))
      const [, wild = ""] = yield* Effect.promise(() => page.evaluate<ReadonlyArray<string>>("notified"))
      assert.match(wild, /pay.*txt/)
      assert.strictEqual(wild, inert(wild))
      assert.strictEqual(yield* Effect.promise(() => page.title()), "(2) Kith")
      // What went wrong is news more than what went well.
      const { id } = yield* bob.ask<{ readonly id: string }>("GET", "/api/node")
      writeFileSync(join(alice.dir, "plans.txt"), "secret")
      const sending = { paths: [join(alice.dir, "plans.txt")], to: [id] }
      yield* alice.ask("POST", "/api/transfers", sending)
      yield* act(() => aloud.getByText("plans.txt: Declined").waitFor({ state: "attached" }))
      assert.strictEqual(
        yield* Effect.promise(() => page.evaluate<string>("notified.at(-1)")),
        "Kith: plans.txt: Declined"
      )
      // What nobody looked at is not read.
      const { items } = yield* alice.ask<{ readonly items: ReadonlyArray<unknown> }>("GET", "/api/messages/unread")
      assert.lengthOf(items, 1)
    })
  )
}

if (isMissing) describe.skip("talking on the page", () => void it("needs chromium", () => undefined))
else stage("talking on the page", all)
