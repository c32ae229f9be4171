/** On or off: the browser's own checkbox, drawn as a switch. */
import { useId } from "react"

export const Toggle = ({
  checked,
  hint,
  label,
  onChange
}: {
  readonly label: string
  readonly hint: string
  readonly checked: boolean
  readonly onChange: (checked: boolean) => void
}) => {
  const id = useId()
  return (
    <div className="flex items-center gap-4">
      <div className="min-w-0 flex-1">
        <label htmlFor={id} className="text-sm font-medium">
          {label}
        </label>
        <p id={`${id} hint`} className="text-sm text-muted">
          {hint}
        </p>
      </div>
      <input
        type="checkbox"
        role="switch"
        id={id}
        aria-describedby={`${id} hint`}
        checked={checked}
        onChange={(event) => onChange(event.target.checked)}
        className="h-7 w-12 shrink-0 cursor-pointer appearance-none rounded-full border border-edge bg-sunken transition-colors before:block before:size-5 before:translate-x-[0.2rem] before:translate-y-[0.19rem] before:rounded-full before:bg-edge before:transition-transform checked:border-accent checked:bg-accent checked:before:translate-x-[1.45rem] checked:before:bg-on-accent"
      />
    </div>
  )
}
