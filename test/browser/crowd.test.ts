/**
 * How the page holds: names that try to be more than names stay text, long lists stay short in the document, and it is
 * used by the keyboard alone.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { act } from "./Acts.ts"
import { crowd, hostile } from "./Crowd.ts"
import { isMissing, node, open, type Stage, stage } from "./Stage.ts"

const all = (it: Stage) => {
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

if (isMissing) describe.skip("the page under a crowd", () => void it("needs chromium", () => undefined))
else stage("the page under a crowd", all)
