/** The wall clock, as often as what is shown of it changes. */
import { useEffect, useState } from "react"

export const useNow = (everyMillis = 30_000): number => {
  const [now, setNow] = useState(() => new Date().getTime())
  useEffect(() => {
    const timer = setInterval(() => setNow(new Date().getTime()), everyMillis)
    return () => clearInterval(timer)
  }, [everyMillis])
  return now
}
