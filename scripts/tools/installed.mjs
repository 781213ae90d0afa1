import { readFileSync } from 'node:fs'
import { join } from 'node:path'

/** npm writes this file as the last step of each install, and `npm ci` removes it first. */
export const hiddenLockfile = join('node_modules', '.package-lock.json')

/**
 * Finds the first folder whose package differs from package-lock.json: a package that is missing,
 * has another version, or is listed nowhere. Returns undefined if node_modules is right. Each
 * package must also name its version itself, because a killed `npm install` leaves an old hidden
 * lockfile beside new packages.
 */
export function findDifference(root) {
  const locked = readPackages(join(root, 'package-lock.json'))
  const installed = readPackages(join(root, hiddenLockfile))
  if (!locked || !installed) return 'node_modules'

  function isRight(path) {
    const [wanted, found] = [locked[path], installed[path]]
    if (!wanted) return false
    if (!found) return mayBeMissing(wanted)
    const isSame = found.version === wanted.version && found.integrity === wanted.integrity
    return isSame && read(join(root, path, 'package.json')).includes(`"${wanted.version}"`)
  }
  const paths = new Set([...Object.keys(installed), ...Object.keys(locked)])
  return [...paths].find((path) => !isRight(path))
}

/**
 * Returns the entries by folder, without the root's entry, which the hidden lockfile does not have.
 */
function readPackages(lockfile) {
  try {
    const { '': _, ...packages } = JSON.parse(read(lockfile)).packages
    return Object.keys(packages).length > 0 && packages
  } catch {
    return undefined // the file is missing, or npm was killed while it wrote the file
  }
}

/** npm leaves out an optional package for another machine, and the packages that only it needs. */
function mayBeMissing({ optional = false, os = [], cpu = [], libc }) {
  const isForThisMachine = os.includes(process.platform) && cpu.includes(process.arch)
  return optional && (!isForThisMachine || libc !== undefined)
}

/** Returns text, because parsing 480 package.json files takes longer than the rest of the check. */
function read(file) {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}
