/** Offers on the page: looked at as a whole before they are answered, taken in part, declined, and over while read. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { randomBytes } from "node:crypto"
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { act, card, clean, drag, overflow, peersOf, say, talkTo, tree } from "./Acts.ts"
import { audit, isMissing, type Node, open, pair, picture, type Stage, stage, temporary } from "./Stage.ts"

/** Photos in a folder below a folder that is empty but for it; names that would be patterns. */
const photos = Effect.gen(function* () {
  const folder = join(yield* temporary, "photos")
  mkdirSync(join(folder, "ünïcode 🏔"), { recursive: true })
  mkdirSync(join(folder, "nothing in it"))
  writeFileSync(join(folder, "big.bin"), randomBytes(8 * 1024 * 1024))
  writeFileSync(join(folder, "[1]*.txt"), "a name with signs in it")
  for (let at = 0; at < 60; at++) writeFileSync(join(folder, "ünïcode 🏔", `${at}.jpg`), randomBytes(at * 50))
  return folder
})

const offer = Effect.fnUntraced(function* (from: Node, to: Node, ...paths: ReadonlyArray<string>) {
  const { id } = yield* to.ask<{ readonly id: string }>("GET", "/api/node")
  yield* from.ask("POST", "/api/transfers", { paths, to: [id] })
})

const all = (it: Stage) => {
  it.effect("sends a dragged folder, and the other side takes it beside what is there", () =>
    Effect.gen(function* () {
      const { alice, bob } = yield* pair
      const folder = yield* photos
      mkdirSync(join(bob.received, "photos"), { recursive: true })
      writeFileSync(join(bob.received, "photos", "big.bin"), "mine")
      const left = yield* open(alice, { theme: "dark" })
      const right = yield* open(bob)
      yield* talkTo(left.page, "bob")
      yield* drag(left.page, left.page.getByRole("region", { name: "Conversation" }), folder)
      const dialog = left.page.getByRole("dialog", { name: "Send these files" })
      yield* act(() => dialog.getByText("62 files, 3 folders").waitFor())
      yield* picture(left.page, "send-dark")
      assert.deepStrictEqual(yield* audit(left.page), [])
      yield* act(async () => {
        await dialog.getByRole("button", { name: "Send", exact: true }).click()
        await card(right.page, "Offer: photos").getByText("Not verified").waitFor()
      })
      yield* picture(right.page, "offer-light")
      yield* say(left.page, "look what I have for you")
      yield* act(async () => {
        await right.page.getByRole("button", { name: "Look at it" }).click()
        const dialog = right.page.getByRole("dialog", { name: "An offer" })
        await dialog.getByText(bob.received).first().waitFor()
        await dialog.getByText("Free there").waitFor()
        await dialog.getByRole("radio", { name: /Keep both/ }).check()
        await dialog.getByRole("checkbox", { name: "big.bin" }).waitFor()
      })
      yield* picture(right.page, "offer-dialog-light")
      assert.deepStrictEqual(yield* audit(right.page), [])
      yield* act(async () => {
        await right.page.getByRole("dialog").getByRole("button", { name: "Accept" }).click()
        await card(right.page, "photos, Received").getByText("photos (1)").first().waitFor()
        await card(left.page, "photos, Sent").waitFor()
      })
      yield* picture(right.page, "received-light")
      assert.deepStrictEqual(tree(join(bob.received, "photos (1)")), tree(folder))
      assert.strictEqual(readFileSync(join(bob.received, "photos", "big.bin"), "utf8"), "mine")
      clean(left.trouble)
      clean(right.trouble)
    })
  )

  it.effect("takes what is ticked and nothing else", () =>
    Effect.gen(function* () {
      const { alice, bob } = yield* pair
      const folder = yield* photos
      const { page, trouble } = yield* open(bob, { theme: "dark" })
      yield* offer(alice, bob, folder)
      yield* act(async () => {
        await page.getByRole("button", { name: "Look at it" }).click()
        const dialog = page.getByRole("dialog", { name: "An offer" })
        await dialog.getByRole("checkbox", { name: "big.bin" }).uncheck()
        await dialog.getByRole("button", { name: "Unfold ünïcode 🏔" }).click()
        await dialog.getByRole("checkbox", { name: "3.jpg", exact: true }).uncheck()
        await dialog.getByRole("button", { name: "Accept 60 files" }).waitFor()
        await dialog.getByRole("searchbox", { name: "Search the list" }).fill(".txt")
        await dialog.getByRole("button", { name: "Take only this" }).click()
        await dialog.getByRole("button", { name: /^Accept 1 file,/ }).waitFor()
        await dialog.getByRole("searchbox", { name: "Search the list" }).fill("1.jpg")
        await dialog.getByRole("checkbox", { name: "photos/ünïcode 🏔/21.jpg" }).check()
        await dialog.getByRole("button", { name: /^Accept 2 files,/ }).waitFor()
      })
      yield* picture(page, "offer-part-dark")
      assert.deepStrictEqual(yield* audit(page), [])
      yield* act(async () => {
        await page
          .getByRole("button", { name: /^Accept 2 files,/ })
          .first()
          .click()
        await card(page, "photos, Received")
          .getByText(/not taken/)
          .waitFor()
      })
      assert.deepStrictEqual(
        tree(join(bob.received, "photos")).map((line) => line.split(" ").slice(0, -1).join(" ")),
        ["/[1]*.txt", "/ünïcode 🏔", "/ünïcode 🏔/21.jpg"]
      )
      clean(trouble)
    })
  )

  it.effect("goes through the list by the keyboard", () =>
    Effect.gen(function* () {
      const { alice, bob } = yield* pair
      const { page } = yield* open(bob)
      yield* offer(alice, bob, yield* photos)
      yield* act(async () => {
        await page.getByRole("button", { name: "Look at it" }).click()
        const dialog = page.getByRole("dialog", { name: "An offer" })
        await dialog.getByRole("checkbox", { name: "photos", exact: true }).focus()
        await page.keyboard.press("ArrowDown")
        await page.keyboard.press("ArrowDown")
        await page.keyboard.press("ArrowRight")
        await dialog.getByRole("checkbox", { name: "0.jpg", exact: true }).waitFor()
        await page.keyboard.press("ArrowDown")
        await page.keyboard.press("Space")
        await dialog.getByRole("button", { name: "Accept 61 files" }).waitFor()
        await page.keyboard.press("ArrowUp")
        await page.keyboard.press("ArrowLeft")
        await dialog.getByRole("checkbox", { name: "0.jpg", exact: true }).waitFor({ state: "detached" })
      })
    })
  )

  it.effect("says that an offer is over while it is read", () =>
    Effect.gen(function* () {
      const { alice, bob } = yield* pair
      const { page } = yield* open(bob)
      yield* offer(alice, bob, yield* photos)
      yield* act(async () => {
        await page.getByRole("button", { name: "Look at it" }).click()
        await page.getByRole("dialog").getByRole("checkbox", { name: "big.bin" }).waitFor()
      })
      const [sent] = yield* alice.ask<ReadonlyArray<{ readonly id: string }>>("GET", "/api/transfers")
      yield* alice.ask("POST", `/api/transfers/${sent?.id}/cancel`)
      yield* act(async () => {
        await page.getByRole("dialog").getByText("This offer was taken back").waitFor()
        await page.getByRole("dialog").getByRole("button", { name: "Accept" }).waitFor({ state: "detached" })
      })
      yield* picture(page, "offer-over-light")
      assert.deepStrictEqual(yield* audit(page), [])
    })
  )

  it.effect("takes files dropped on a peer, and what is declined never arrives", () =>
    Effect.gen(function* () {
      const { alice, bob } = yield* pair
      const left = yield* open(alice)
      const right = yield* open(bob, { width: 360, height: 700 })
      const note = join(yield* temporary, "note.txt")
      writeFileSync(note, "dropped")
      yield* drag(left.page, peersOf(left.page).getByRole("button", { name: /^bob/ }), note)
      yield* act(async () => {
        await left.page.getByRole("dialog", { name: "Send this file" }).getByText("note.txt").waitFor()
        await left.page.getByRole("dialog").getByRole("button", { name: "Send", exact: true }).click()
        await right.page
          .getByRole("navigation", { name: "Rooms" })
          .getByRole("button", { name: /Transfers/ })
          .click()
        await card(right.page, "Offer: note.txt").waitFor()
      })
      yield* picture(right.page, "offer-narrow")
      yield* act(async () => {
        await right.page.getByRole("button", { name: "Decline" }).click()
        await card(left.page, "note.txt, Declined").waitFor()
      })
      assert.strictEqual(yield* overflow(right.page), 0)
      assert.isFalse(existsSync(join(bob.received, "note.txt")))
      clean(left.trouble)
    })
  )
}

if (isMissing) describe.skip("offers on the page", () => void it("needs chromium", () => undefined))
else stage("offers on the page", all)
