/** Sending from the page: to several at once, pasted, by a page that closes, and by an upload that is cut or refused. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { randomBytes } from "node:crypto"
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { act, card, clean, drag, peersOf, talkTo } from "./Acts.ts"
import { audit, isMissing, node, open, pair, picture, type Stage, stage, temporary } from "./Stage.ts"

const megabytes = Effect.fnUntraced(function* (count: number) {
  const file = join(yield* temporary, "film.bin")
  writeFileSync(file, randomBytes(count * 1_000_000))
  return file
})

const all = (it: Stage) => {
  it.effect("sends to several peers chosen at once", () =>
    Effect.gen(function* () {
      const everyone = { accept: "everyone" }
      const [alice, bob, carol] = yield* Effect.all([node("alice"), node("bob"), node("carol")], { concurrency: 3 })
      for (const peer of [bob, carol]) {
        yield* peer.ask("PATCH", "/api/profile", everyone)
        yield* alice.ask("POST", "/api/peers", { address: peer.address })
      }
      const { page, trouble } = yield* open(alice)
      yield* act(() => page.getByText("2 peers are connected").waitFor())
      yield* drag(page, page.getByRole("region", { name: "Conversation" }), yield* megabytes(3))
      const dialog = page.getByRole("dialog", { name: "Send this file" })
      yield* act(async () => {
        await dialog.getByRole("checkbox", { name: "carol" }).uncheck()
        await dialog.getByRole("button", { name: "Send", exact: true }).waitFor()
        await dialog.getByRole("checkbox", { name: "carol" }).check()
      })
      yield* picture(page, "send-several-light")
      yield* act(async () => {
        await dialog.getByRole("button", { name: "Send to 2 peers" }).click()
        await page
          .getByRole("region", { name: "film.bin, to 2 peers" })
          .getByRole("article", { name: "film.bin, Sent" })
          .nth(1)
          .waitFor()
      })
      yield* picture(page, "group-light")
      for (const peer of [bob, carol]) assert.include(readdirSync(peer.received), "film.bin")
      clean(trouble)
    })
  )

  it.effect("says pasted text, and sends a pasted picture", () =>
    Effect.gen(function* () {
      const { alice, bob } = yield* pair
      yield* bob.ask("PATCH", "/api/profile", { accept: "everyone" })
      const { page, trouble } = yield* open(alice)
      yield* talkTo(page, "bob")
      yield* act(async () => {
        const line = page.getByRole("textbox", { name: /^Message/ })
        await page.evaluate(`navigator.clipboard.writeText("two\\nlines")`)
        await line.focus()
        await page.keyboard.press("Control+V")
        await page.keyboard.press("Enter")
        await page.getByRole("region", { name: "Messages" }).getByText("two lines", { exact: true }).waitFor()
        await page.evaluate(`fetch("/page/icon-192.png")
          .then((found) => found.blob())
          .then((picture) => navigator.clipboard.write([new ClipboardItem({ "image/png": picture })]))`)
        await line.focus()
        await page.keyboard.press("Control+V")
        await page
          .getByRole("dialog", { name: "Send this file" })
          .getByText(/^Pasted .*\.png$/)
          .waitFor()
        await page.getByRole("dialog").getByRole("button", { name: "Send", exact: true }).click()
        await card(page, /^Pasted .*Sent$/).waitFor()
      })
      clean(trouble)
    })
  )

  it.effect("loses nothing that was handed over when the page is closed", () =>
    Effect.gen(function* () {
      const { alice, bob } = yield* pair
      const file = yield* megabytes(20)
      const left = yield* open(alice)
      const right = yield* open(bob)
      yield* talkTo(left.page, "bob")
      yield* drag(left.page, left.page.getByRole("region", { name: "Conversation" }), file)
      yield* act(async () => {
        await left.page.getByRole("dialog").getByRole("button", { name: "Send", exact: true }).click()
        await card(left.page, "film.bin, Waiting for an answer").waitFor()
        await left.page.close()
        await card(right.page, "Offer: film.bin").getByRole("button", { name: "Accept" }).click()
        await card(right.page, "film.bin, Received").waitFor()
      })
      assert.isTrue(existsSync(join(bob.received, "film.bin")))
    })
  )

  it.effect("says that an upload was cut, and goes on when asked", () =>
    Effect.gen(function* () {
      const { alice, bob } = yield* pair
      const { page } = yield* open(alice)
      const file = yield* megabytes(5)
      yield* talkTo(page, "bob")
      yield* act(() => page.route(/\/api\/uploads\/\w+\/file/, (route) => route.abort("connectionreset"), { times: 1 }))
      yield* drag(page, page.getByRole("region", { name: "Conversation" }), file)
      yield* act(async () => {
        await page.getByRole("dialog").getByRole("button", { name: "Send", exact: true }).click()
        await card(page, "film.bin, handing over")
          .getByText(/was cut/)
          .waitFor()
      })
      yield* picture(page, "upload-cut-light")
      assert.deepStrictEqual(yield* audit(page), [])
      yield* act(async () => {
        await page.getByRole("button", { name: "Try again" }).click()
        await card(page, "film.bin, Waiting for an answer").waitFor()
      })
      const offered = Effect.suspend(() => bob.ask<ReadonlyArray<unknown>>("GET", "/api/transfers"))
      yield* offered.pipe(Effect.delay("50 millis"), Effect.repeat({ until: (all) => all.length === 1 }))
    })
  )

  it.effect("says what a full disk needs", () =>
    Effect.gen(function* () {
      const { alice } = yield* pair
      const { page } = yield* open(alice, { theme: "dark" })
      const file = yield* megabytes(1)
      yield* talkTo(page, "bob")
      // More than any disk has: the node itself refuses it.
      yield* act(() =>
        page.route(
          (url) => url.pathname === "/api/uploads",
          (route) => route.continue({ postData: JSON.stringify({ bytes: 2 ** 52 }) })
        )
      )
      yield* drag(page, page.getByRole("region", { name: "Conversation" }), file)
      yield* act(async () => {
        await page.getByRole("dialog").getByRole("button", { name: "Send", exact: true }).click()
        await card(page, "film.bin, handing over")
          .getByText(/free|room|space/)
          .waitFor()
      })
      yield* picture(page, "disk-full-dark")
      assert.deepStrictEqual(yield* audit(page), [])
    })
  )

  it.effect("holds a transfer, lets it go on, ends it, and sends it again", () =>
    Effect.gen(function* () {
      const { alice, bob } = yield* pair
      yield* bob.ask("PATCH", "/api/profile", { accept: "everyone" })
      yield* bob.ask("PATCH", "/api/caps", { receive: 2_000_000 })
      const left = yield* open(alice)
      const right = yield* open(bob, { theme: "dark" })
      yield* talkTo(left.page, "bob")
      yield* drag(left.page, peersOf(left.page).getByRole("button", { name: /^bob/ }), yield* megabytes(30))
      yield* act(async () => {
        await left.page.getByRole("dialog").getByRole("button", { name: "Send", exact: true }).click()
        await card(right.page, "film.bin, Receiving").getByText(/MB\/s/).waitFor()
        await card(right.page, "film.bin, Receiving").getByText(/left$/).waitFor()
      })
      yield* picture(right.page, "receiving-dark")
      const moving = yield* Effect.promise(() => right.page.evaluate<number>("document.getAnimations().length"))
      assert.strictEqual(moving, 0, "nothing is animated for who asked for less motion")
      yield* act(async () => {
        await right.page.getByRole("button", { name: "Pause film.bin" }).click()
        await card(left.page, "film.bin, Paused by the other side").waitFor()
        await left.page.getByRole("button", { name: "Resume film.bin" }).click()
        await card(right.page, "film.bin, Receiving").waitFor()
        // What has moved already would be lost: that takes a second word.
        await right.page.getByRole("button", { name: "Cancel film.bin" }).click()
        await right.page.getByRole("button", { name: "Yes, cancel film.bin" }).click()
        await card(right.page, "film.bin, Cancelled").waitFor()
        await card(left.page, "film.bin, Cancelled").waitFor()
      })
      yield* picture(left.page, "cancelled-light")
      assert.deepStrictEqual(yield* audit(left.page), [])
      yield* bob.ask("PATCH", "/api/caps", { receive: null })
      yield* act(async () => {
        await right.page.getByRole("button", { name: "Ask for film.bin again" }).click()
        await left.page.getByText("Please send “film.bin” again.", { exact: true }).waitFor()
        await left.page.getByRole("button", { name: "Send film.bin again" }).click()
        await card(right.page, "film.bin, Received").waitFor()
      })
      clean(left.trouble)
      clean(right.trouble)
    })
  )

  it.effect("sends again what this page never handed over, also after a restart of the node", () =>
    Effect.gen(function* () {
      const { alice, bob } = yield* pair
      const path = join(alice.dir, "letter.txt")
      writeFileSync(path, "from the command line")
      const [sent] = yield* alice.ask<ReadonlyArray<{ readonly id: string }>>("POST", "/api/transfers", {
        paths: [path],
        to: ["bob"]
      })
      assert(sent !== undefined)
      yield* alice.ask("POST", `/api/transfers/${sent.id}/cancel`)
      yield* alice.down(alice.first)
      yield* alice.up
      yield* alice.ask("POST", "/api/peers", { address: bob.address })
      yield* bob.ask("PATCH", "/api/profile", { accept: "everyone" })
      const { page, trouble } = yield* open(alice)
      yield* act(async () => {
        await page.getByRole("button", { name: "Send letter.txt again" }).click()
        await card(page, "letter.txt, Sent").waitFor()
      })
      assert.strictEqual(readFileSync(join(bob.received, "letter.txt"), "utf8"), "from the command line")
      clean(trouble)
    })
  )
}

if (isMissing) describe.skip("sending from the page", () => void it("needs chromium", () => undefined))
else stage("sending from the page", all)
