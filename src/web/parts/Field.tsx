/** A labelled line to type in, with what is wrong about it below. */
import { type InputHTMLAttributes, type ReactNode, useId } from "react"

export const Field = ({
  label,
  hint,
  problem,
  className = "",
  ...rest
}: InputHTMLAttributes<HTMLInputElement> & {
  readonly label: string
  readonly hint?: ReactNode
  readonly problem?: string | null
}) => {
  const id = useId()
  const below = useId()
  const wrong = problem !== undefined && problem !== null
  return (
    <div className={className}>
      <label htmlFor={id} className="mb-1.5 block text-sm font-medium">
        {label}
      </label>
      <input
        id={id}
        aria-invalid={wrong || undefined}
        aria-describedby={wrong || hint !== undefined ? below : undefined}
        className={`block min-h-11 w-full rounded-xl border bg-raised px-3.5 text-base text-ink ${wrong ? "border-danger" : "border-edge"}`}
        {...rest}
      />
      {(wrong || hint !== undefined) && (
        <p
          id={below}
          role={wrong ? "alert" : undefined}
          className={`mt-1.5 text-sm ${wrong ? "text-danger" : "text-muted"}`}
        >
          {wrong ? problem : hint}
        </p>
      )}
    </div>
  )
}
