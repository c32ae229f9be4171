/** Says when the node stopped answering: what is shown then is what was, and nothing is sent. */
import { RefreshCw, WifiOff } from "lucide-react"
import { useEffect, useRef, useState } from "react"
import { useAtomValue } from "../state/atoms.ts"
import { link } from "../state/Live.ts"

/** How long the page says that all is well again. */
const relief = 4_000

export const LinkBanner = () => {
  const state = useAtomValue(link)
  const before = useRef(state)
  const [back, setBack] = useState(false)
  useEffect(() => {
    const returned = before.current !== "Live" && before.current !== "Loading" && state === "Live"
    before.current = state
    if (!returned) return setBack(false)
    setBack(true)
    const timer = setTimeout(() => setBack(false), relief)
    return () => clearTimeout(timer)
  }, [state])
  return (
    <div role="status" aria-live="polite">
      {(state === "Lost" || state === "Stranger") && (
        <p className="flex items-center justify-center gap-2.5 bg-warn-soft px-4 py-2.5 text-base font-medium text-warn">
          <WifiOff size={18} className="shrink-0" aria-hidden />
          {state === "Lost"
            ? "The node does not answer. Trying again until it does; what you see is what was."
            : "Another node answers here now. What you see is what was; open the page of yours with: kith open"}
        </p>
      )}
      {back && (
        <p className="flex items-center justify-center gap-2.5 bg-accent-soft px-4 py-2.5 text-base font-medium text-accent-ink">
          <RefreshCw size={18} className="shrink-0" aria-hidden />
          Connected to the node again.
        </p>
      )}
    </div>
  )
}
