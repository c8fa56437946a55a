// Renovate's own rules over a list: what the documented configuration finds, and what an update of each makes of it.
//
// node renovate.cjs RENOVATE CONFIGURATION LIST FOLDER: the package's folder, the configuration of docs/, the list,
// and a folder to write in. Prints JSON: what was found, and the list after all updates.

const fs = require("node:fs");
const path = require("node:path");

const [renovate, configurationFile, listFile, folder] = process.argv.slice(2);
const part = (name) => require(path.join(renovate, "dist", name));

const { GlobalConfig } = part("config/global.js");
const { extractPackageFile } = part("modules/manager/index.js");
const { doAutoReplace } = part("workers/repository/update/branch/auto-replace.js");
const { matchRegexOrGlobList } = part("util/string-match.js");
const { get: versioningOf } = part("modules/versioning/index.js");

const NEW_DIGEST = `sha256:${"e".repeat(64)}`;

async function main() {
  GlobalConfig.set({ localDir: folder });
  const [manager] = JSON.parse(fs.readFileSync(configurationFile, "utf8")).customManagers;
  const packageFile = path.basename(listFile);
  let content = fs.readFileSync(listFile, "utf8");
  // Renovate builds the expressions with RE2 where it can, which has no looking around and no back references.
  const beyondRe2 = manager.matchStrings.filter((text) => /\(\?<?[=!]|\\[1-9]/.test(text));
  const found = await extractPackageFile("regex", content, packageFile, manager);
  const versioning = versioningOf("docker");
  const deps = found.deps.map((dep, depIndex) => ({
    ...manager, ...dep, depIndex, manager: "regex", packageFile, baseDeps: found.deps,
  }));
  for (const dep of deps) {
    const isVersion = versioning.isValid(dep.currentValue);
    // What has a digest gets another one; what is a version gets a newer one.
    const upgrade = {
      ...dep,
      newValue: isVersion ? `${dep.currentValue}9` : dep.currentValue,
      ...(dep.currentDigest && { newDigest: NEW_DIGEST }),
    };
    content = await doAutoReplace(upgrade, content, false);
  }
  console.log(JSON.stringify({
    beyondRe2,
    matches: ["external-images.yaml", "deep/external-images.yml", "other.yaml", "not-external-images.yaml"]
      .filter((name) => matchRegexOrGlobList(name, manager.managerFilePatterns)),
    found: found.deps.map(({ depName, currentValue, currentDigest, datasource }) => (
      { depName, currentValue, currentDigest, datasource }
    )),
    content,
  }));
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
