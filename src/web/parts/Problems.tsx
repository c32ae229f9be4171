/** Entries that were left out or failed, one by one, folded away. */
import type { EntryProblem } from "../../schema/Offer.ts"
import { inert } from "../../schema/Text.ts"

export const Problems = ({
  problems,
  summary
}: {
  readonly problems: ReadonlyArray<EntryProblem>
  readonly summary: string
}) => (
  <details className="mt-2 text-sm">
    <summary className="font-medium text-danger">{summary}</summary>
    <ul className="mt-1.5 max-h-40 overflow-y-auto" tabIndex={0}>
      {problems.map((problem) => (
        <li key={`${problem.path} ${problem.reason}`} className="py-0.5 break-words">
          <bdi className="font-mono">{inert(problem.path)}</bdi>
          <span className="text-muted">: {inert(problem.reason)}</span>
        </li>
      ))}
    </ul>
  </details>
)
