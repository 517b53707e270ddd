import { mkdirSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import { expect, test } from "vitest";
import { temporaryFolder } from "../support.js";
import { ended, launch, newFolder, refused } from "./support.js";

const temporary = temporaryFolder();

/** What the page answers: its status, its headers and its text. */
function get(url: string, path: string, { host, method = "GET" }: { host?: string; method?: string } = {}) {
  return new Promise<{ status: number | undefined; headers: Record<string, unknown>; text: string }>(
    (resolve, reject) => {
      const headers = host === undefined ? {} : { host };
      const asked = request(new URL(url), { path, method, headers, agent: false }, (response) => {
        let text = "";
        response.setEncoding("utf8").on("data", (part: string) => {
          text += part;
        });
        response.on("end", () => resolve({ status: response.statusCode, headers: response.headers, text }));
      });
      asked.on("error", reject).end();
    },
  );
}

test("watch serves this machine alone, gives nothing but pages and reports, and ends cleanly", async () => {
  const cwd = newFolder(temporary);
  const run = join(cwd, "runs", "a");
  mkdirSync(run, { recursive: true });
  writeFileSync(join(run, "config.json"), JSON.stringify({ command: "distill", epochs: 1 }));
  writeFileSync(join(run, "report.html"), "<p>a report");
  const child = launch(["watch", "--port", "0", "--json"], cwd);
  const end = ended(child);
  const line = await new Promise<string>((resolve) => child.stdout?.once("data", (part) => resolve(String(part))));
  const { url, folder } = JSON.parse(line) as { url: string; folder: string };
  expect(folder).toBe("runs");
  expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/$/);
  const page = await get(url, "/");
  expect([page.status, page.headers["content-security-policy"]]).toEqual([
    200,
    expect.stringContaining("default-src 'none'; connect-src 'self'"),
  ]);
  const report = await get(url, "/runs/a/report.html");
  expect([report.status, report.text, report.headers["content-security-policy"]]).toEqual([
    200,
    "<p>a report",
    expect.stringMatching(/^sandbox allow-scripts allow-downloads; default-src 'none';/),
  ]);
  const answers = [
    await get(url, "/", { host: "example.com" }),
    await get(url, "/runs/a/report.html", { host: "example.com" }),
    await get(url, "/", { method: "POST" }),
    await get(url, "/runs/a/config.json"),
    await get(url, "/runs/../runs/a/config.json"),
    await get(url, "/runs/%2e%2e%2f%2e%2e/report.html"),
    await get(url, "/runs/%"),
  ];
  expect(answers.map(({ status }) => status)).toEqual([403, 403, 405, 404, 404, 404, 404]);
  const link = await get(url, "/runs/a/");
  expect([link.status, link.headers.location]).toEqual([302, "/#a"]);
  child.kill("SIGINT");
  const { code, stderr } = await end;
  expect([code, stderr]).toEqual([0, "closing the page; once more stops at once\n"]);
});

test("watch refuses a folder that is not there, a bad port and one that is taken", async () => {
  const cwd = newFolder(temporary);
  expect(await refused(["watch", "nothing"], cwd, 1, "NOT_FOUND")).toContain("nothing: no such folder");
  expect(await refused(["watch", "--port", "70000"], cwd, 2, "BAD_ARGUMENT")).toContain("--port");
  const child = launch(["watch", "--port", "0", "--json"], cwd);
  const end = ended(child);
  const line = await new Promise<string>((resolve) => child.stdout?.once("data", (part) => resolve(String(part))));
  const { port } = new URL((JSON.parse(line) as { url: string }).url);
  expect(await refused(["watch", "--port", port], cwd, 1, "IN_USE")).toContain(`port ${port} is taken`);
  child.kill("SIGTERM");
  expect((await end).code).toBe(0);
});
