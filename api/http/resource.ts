import { AppError } from '../../core/errors.ts'

/**
 * Returns the id of the object that the filter `param` of a list names by `name`. Throws AppError when
 * the merchant has no such object: the path exists, so the filter is what is wrong.
 */
export async function toFilterId(
  param: string,
  name: string | undefined,
  get: (name: string) => Promise<{ id: string }>,
): Promise<string | undefined> {
  if (name === undefined) return undefined
  try {
    return (await get(name)).id
  } catch (error) {
    if (!(error instanceof AppError && error.code === 'not_found')) throw error
    throw new AppError('invalid_request', error.message, { param })
  }
}
