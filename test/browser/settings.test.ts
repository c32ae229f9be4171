/** The settings of the page: what peers see, what is taken, how fast, how it looks, and whether the node is well. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { act, clean, peersOf } from "./Acts.ts"
import { isMissing, open, pair, picture, type Stage, stage } from "./Stage.ts"

const all = (it: Stage) => {
  it.effect("changes name, status and its words, which peers see at once", () =>
    Effect.gen(function* () {
      const { alice, bob } = yield* pair
      const left = yield* open(alice)
      const right = yield* open(bob)
      yield* act(async () => {
        await left.page.getByRole("button", { name: "Settings" }).click()
        const dialog = left.page.getByRole("dialog", { name: "Settings" })
        await dialog.getByText(alice.received).waitFor()
        await dialog.getByLabel("Name").fill("Alice’s desk")
        await left.page.keyboard.press("Enter")
        await dialog.getByRole("radio", { name: "Busy" }).check()
        await dialog.getByLabel("A word about it").fill("back at three")
        await left.page.keyboard.press("Enter")
        await peersOf(right.page).getByText("Busy: back at three").waitFor()
        await peersOf(right.page).getByText("Alice’s desk").waitFor()
        await dialog.getByLabel("Name").fill("n".repeat(65))
        await dialog.getByText("This name is too long.").waitFor()
      })
      yield* picture(left.page, "settings-wrong-light")
      clean(left.trouble)
    })
  )

  it.effect("sets what is taken, how fast, and how it looks, and keeps it", () =>
    Effect.gen(function* () {
      const { alice } = yield* pair
      const { page, trouble } = yield* open(alice)
      const settings = async () => {
        await page.getByRole("button", { name: "Settings" }).click()
        return page.getByRole("dialog", { name: "Settings" })
      }
      yield* act(async () => {
        const dialog = await settings()
        await dialog.getByRole("radio", { name: /^Verified/ }).check()
        await dialog.getByRole("textbox", { name: /Receiving/ }).fill("many")
        await dialog.getByText("Write a number, or nothing for no limit.").waitFor()
        await dialog.getByRole("textbox", { name: /Receiving/ }).fill("12.5")
        await dialog.getByRole("button", { name: "Save the speed" }).click()
        await dialog.getByRole("button", { name: "Save the speed" }).waitFor({ state: "detached" })
        await dialog.getByRole("radio", { name: "Dark" }).check()
      })
      yield* picture(page, "settings-chosen-dark")
      assert.deepInclude(yield* alice.ask("GET", "/api/profile"), { accept: "verified" })
      assert.deepStrictEqual(yield* alice.ask("GET", "/api/caps"), { send: null, receive: 12_500_000 })
      yield* act(async () => {
        await page.reload()
        await page.getByRole("heading", { name: "Everyone" }).waitFor()
        const dialog = await settings()
        assert.isTrue(await dialog.getByRole("radio", { name: "Dark" }).isChecked())
        assert.strictEqual(await dialog.getByRole("textbox", { name: /Receiving/ }).inputValue(), "12.5")
      })
      const theme = yield* Effect.promise(() =>
        page.evaluate<string>(`getComputedStyle(document.documentElement).colorScheme`)
      )
      assert.strictEqual(theme, "dark")
      clean(trouble)
    })
  )

  it.effect("draws what a check-up finds", () =>
    Effect.gen(function* () {
      const { alice } = yield* pair
      const { page } = yield* open(alice)
      yield* act(async () => {
        await page.getByRole("button", { name: "Settings" }).click()
        await page.getByRole("button", { name: "Check this node" }).click()
        const dialog = page.getByRole("dialog", { name: "How this node is" })
        await dialog.getByRole("img", { name: "In order" }).first().waitFor()
        await dialog.getByText("Announced and heard").waitFor()
        await dialog.getByRole("button", { name: "Look again" }).click()
        await dialog.getByRole("button", { name: "Look again", disabled: false }).waitFor()
      })
      yield* picture(page, "diagnostics-real-light")
    })
  )
}

if (isMissing) describe.skip("the settings of the page", () => void it("needs chromium", () => undefined))
else stage("the settings of the page", all)
