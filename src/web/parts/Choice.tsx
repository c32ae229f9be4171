/**
 * One of a few, each with a word about what it means: the browser's own radio buttons, drawn as cards. What is chosen is
 * shown at once, until the value says what is, or taken back where `onChange` comes to false.
 */
import { useEffect, useId, useState } from "react"

export interface Option<A extends string> {
  readonly value: A
  readonly label: string
  readonly hint?: string
}

export const Choice = <A extends string>({
  label,
  onChange,
  options,
  value
}: {
  readonly label: string
  readonly options: ReadonlyArray<Option<A>>
  readonly value: A
  readonly onChange: (value: A) => void | Promise<boolean>
}) => {
  const id = useId()
  const [chosen, setChosen] = useState<A | null>(null)
  useEffect(() => setChosen(null), [value])
  const choose = async (wanted: A) => {
    setChosen(wanted)
    if ((await onChange(wanted)) === false) setChosen(null)
  }
  return (
    <fieldset className="min-w-0">
      <legend className="mb-1.5 text-sm font-medium">{label}</legend>
      <div className="grid gap-1.5 sm:grid-cols-[repeat(auto-fit,minmax(8.5rem,1fr))]">
        {options.map((option) => (
          <label
            key={option.value}
            htmlFor={`${id} ${option.value}`}
            className="flex items-start gap-2.5 rounded-xl border border-line bg-raised px-3 py-2.5 transition-colors hover:border-edge has-checked:border-accent has-checked:bg-accent-soft has-checked:text-accent-ink has-focus-visible:outline-2 has-focus-visible:outline-offset-2 has-focus-visible:outline-accent"
          >
            <input
              type="radio"
              id={`${id} ${option.value}`}
              name={id}
              checked={option.value === (chosen ?? value)}
              onChange={() => void choose(option.value)}
              className="mt-0.5 size-4 shrink-0 accent-accent outline-none"
            />
            <span className="min-w-0">
              <span className="block text-base leading-5 font-medium">{option.label}</span>
              {option.hint !== undefined && <span className="mt-0.5 block text-sm">{option.hint}</span>}
            </span>
          </label>
        ))}
      </div>
    </fieldset>
  )
}
