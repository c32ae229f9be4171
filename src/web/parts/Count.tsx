/** A small number that asks for attention. */
import { count } from "../text/format.ts"

export const Count = ({
  value,
  meaning,
  className = ""
}: {
  readonly value: number
  readonly meaning: string
  readonly className?: string
}) => (
  <span
    className={`inline-grid h-5 min-w-5 place-items-center rounded-full bg-accent px-1.5 text-xs font-semibold text-on-accent tabular-nums ${className}`}
  >
    {value > 99 ? "99+" : count(value)}
    <span className="sr-only"> {meaning}</span>
  </span>
)
