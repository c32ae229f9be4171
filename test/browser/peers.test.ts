/** Peers on the page: words compared, tickets, what is decided about one, and alarms that nobody can miss. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { Page } from "playwright-core"
import { act, clean, peersOf, talkTo } from "./Acts.ts"
import { audit, isMissing, node, nodeAt, open, pair, picture, type Stage, stage } from "./Stage.ts"

const words = (page: Page) =>
  Effect.promise(async () => {
    const list = page.getByRole("list", { name: "The words" })
    await list.waitFor()
    return list.getByRole("listitem").allInnerTexts()
  })

interface Known {
  readonly name: string
  readonly trust: string
  readonly accept: string | null
  readonly state: string
}

const all = (it: Stage) => {
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
        // Also the one who was asked is told how it ended.
        for (const { page } of [left, right]) {
          await page.getByRole("status").getByText("Verified").waitFor()
          await page.getByRole("dialog").getByRole("button", { name: "Close", exact: true }).last().click()
          await page.getByRole("dialog").waitFor({ state: "detached" })
        }
        await peersOf(left.page).getByRole("img", { name: "verified" }).waitFor()
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
      })
      yield* picture(right.page, "ticket-wrong-light")
      yield* act(async () => {
        await right.page.getByLabel("Ticket").fill(ticket)
        await right.page.getByRole("button", { name: "Join" }).click()
        await peersOf(right.page).getByRole("img", { name: "verified" }).waitFor()
      })
      clean(left.trouble)
    })
  )

  it.effect("decides about a peer: what is taken from it, how fast, blocked, unblocked, removed", () =>
    Effect.gen(function* () {
      const { alice, bob } = yield* pair
      const { page, trouble } = yield* open(alice)
      const known = () => alice.ask<ReadonlyArray<Known>>("GET", "/api/peers")
      yield* talkTo(page, "bob")
      const dialog = page.getByRole("dialog", { name: "bob" })
      yield* act(async () => {
        await page.getByRole("button", { name: "About this peer" }).click()
        await dialog.getByRole("radio", { name: /Take them/ }).check()
        await dialog.getByRole("textbox", { name: /Sending/ }).fill("0.001")
        await dialog.getByText(/At least/).waitFor()
        await dialog.getByRole("textbox", { name: /Sending/ }).fill("2,5")
        await dialog.getByRole("button", { name: "Save the speed" }).click()
        await page.getByText("Saved.").waitFor()
      })
      assert.strictEqual((yield* known())[0]?.accept, "everyone")
      const { id } = yield* bob.ask<{ readonly id: string }>("GET", "/api/node")
      assert.deepStrictEqual(yield* alice.ask("GET", `/api/peers/${id}/caps`), { send: 2_500_000, receive: null })
      yield* act(async () => {
        await dialog.getByRole("button", { name: "Block", exact: true }).click()
        await dialog.getByRole("button", { name: "Yes, block it" }).click()
        await dialog.getByRole("button", { name: "Unblock" }).waitFor()
        await peersOf(page).getByRole("img", { name: "blocked" }).waitFor()
      })
      yield* picture(page, "blocked-light")
      assert.deepStrictEqual(yield* audit(page), [])
      yield* act(async () => {
        await dialog.getByRole("button", { name: "Unblock" }).click()
        await dialog.getByRole("button", { name: "Remove" }).click()
        await dialog.getByRole("button", { name: "Yes, remove it" }).click()
        await page.getByText("Nobody yet").waitFor()
        await page.getByRole("heading", { name: "Everyone" }).waitFor()
      })
      assert.lengthOf(yield* known(), 0)
      clean(trouble)
    })
  )

  it.effect("shows an alarm that was raised while no page was open, until a person puts it away", () =>
    Effect.gen(function* () {
      const { alice, bob } = yield* pair
      yield* bob.down(bob.first)
      // Another key under the same name, where the known one was.
      yield* nodeAt("bob", { port: bob.ports.port })
      const raised = Effect.suspend(() => alice.ask<ReadonlyArray<unknown>>("GET", "/api/alarms"))
      yield* raised.pipe(Effect.delay("100 millis"), Effect.repeat({ until: (alarms) => alarms.length > 0 }))
      const { page, trouble } = yield* open(alice)
      const alarm = page.getByRole("region", { name: "Alarms" }).getByRole("alert")
      yield* act(() => alarm.getByText("A peer’s key changed").waitFor())
      assert.match(yield* Effect.promise(() => page.title()), /^\(1\)/)
      yield* picture(page, "alarm-real-light")
      assert.deepStrictEqual(yield* audit(page), [])
      yield* act(async () => {
        // A click that was meant for something else, and Escape, leave it where it is.
        await page.keyboard.press("Escape")
        await alarm.getByRole("button", { name: "I have understood" }).click()
        await page.getByRole("textbox", { name: /^Message/ }).click()
        await alarm.getByRole("button", { name: "I have understood" }).waitFor()
        await page.reload()
        await alarm.getByRole("button", { name: "I have understood" }).click()
        await alarm.getByRole("button", { name: "Yes, put it away" }).click()
        await alarm.waitFor({ state: "detached" })
      })
      assert.lengthOf(yield* raised, 0)
      clean(trouble)
    })
  )
}

if (isMissing) describe.skip("peers on the page", () => void it("needs chromium", () => undefined))
else stage("peers on the page", all)
