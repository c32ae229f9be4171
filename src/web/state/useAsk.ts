/** A question to the node from a component: whether it is under way, and what went wrong. */
import type * as Effect from "effect/Effect"
import { useCallback, useEffect, useRef, useState } from "react"
import { ask, type Client } from "./Client.ts"

export const useAsk = () => {
  const [busy, setBusy] = useState(false)
  const [problem, setProblem] = useState<string | null>(null)
  const shown = useRef(true)
  useEffect(() => {
    shown.current = true
    return () => {
      shown.current = false
    }
  }, [])
  const run = useCallback(
    async <A, E>(question: (client: Client) => Effect.Effect<A, E>, then?: (value: A) => void): Promise<boolean> => {
      setBusy(true)
      setProblem(null)
      const answer = await ask(question)
      if (shown.current) {
        setBusy(false)
        if (!answer.ok) setProblem(answer.problem)
      }
      if (answer.ok) then?.(answer.value)
      return answer.ok
    },
    []
  )
  return { busy, problem, run, clear: useCallback(() => setProblem(null), []) }
}
