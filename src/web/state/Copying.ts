/** Copies to the clipboard, and says so. */
import { tell } from "./Notices.ts"

export const copy = async (text: string, what: string): Promise<void> => {
  try {
    await navigator.clipboard.writeText(text)
    tell("done", `${what} is copied.`)
  } catch {
    tell("problem", "The browser does not allow copying here. Select the text and copy it by hand.")
  }
}
