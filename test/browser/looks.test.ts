/**
 * How the page looks: every main state in each theme is free of findings by axe, and a picture of it is kept, to be
 * looked at.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { act, overflow } from "./Acts.ts"
import { answer, crowd, idFor, idOf } from "./Crowd.ts"
import { office } from "./Office.ts"
import { audit, isMissing, node, open, picture, type Stage, stage } from "./Stage.ts"

const themes = ["light", "dark", "contrast"] as const

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

  it.effect.each(["light", "dark"] as const)("fits a screen of 360 pixels: %s", (theme) =>
    Effect.gen(function* () {
      const alice = yield* node("alice")
      const { page } = yield* open(alice, { theme, width: 360, height: 740 })
      yield* crowd(page, alice, 40, 300)
      const rooms = page.getByRole("navigation", { name: "Rooms" })
      for (const room of ["Chat", "Peers", "Transfers"]) {
        yield* act(() => rooms.getByRole("button", { name: new RegExp(room) }).click())
        yield* picture(page, `narrow-${room.toLowerCase()}-${theme}`)
        assert.strictEqual(yield* overflow(page), 0, room)
        assert.deepStrictEqual(yield* audit(page), [], room)
      }
      yield* act(async () => {
        await page.getByRole("button", { name: "Look at it" }).click()
        await page.getByRole("checkbox", { name: "photos" }).waitFor()
      })
      yield* picture(page, `narrow-offer-${theme}`)
      assert.strictEqual(yield* overflow(page), 0, "offer")
    })
  )

  it.effect("uses a wide screen", () =>
    Effect.gen(function* () {
      const mira = yield* node("Mira")
      const { page } = yield* open(mira, { width: 2200, height: 1200 })
      yield* office(page, mira)
      yield* picture(page, "wide-light")
      assert.strictEqual(yield* overflow(page), 0)
    })
  )

  it.effect.each(themes)("shows an alarm above everything: %s", (theme) =>
    Effect.gen(function* () {
      const alice = yield* node("alice")
      const { page } = yield* open(alice, { theme })
      yield* act(() =>
        answer(page, "/api/alarms", [
          {
            id: idFor(900),
            kind: "changedKey",
            peer: idOf(9),
            text: "machine 9 came with another key than the one known for it. Compare words before you trust it.",
            at: 1_795_000_000_000
          }
        ])
      )
      yield* crowd(page, alice, 40, 300)
      yield* act(() => page.getByRole("alert").getByText("A peer’s key changed").waitFor())
      yield* picture(page, `alarm-${theme}`)
      assert.deepStrictEqual(yield* audit(page), [])
      yield* act(async () => {
        await page.getByRole("button", { name: "Settings" }).click()
        await page.getByRole("dialog").getByRole("alert").getByText("A peer’s key changed").waitFor()
      })
      assert.deepStrictEqual(yield* audit(page), [])
    })
  )
}

if (isMissing) describe.skip("the look of the page", () => void it("needs chromium", () => undefined))
else stage("the look of the page", all)
