// The site that `npm run docs` builds. It loads nothing from elsewhere: letters, search and icons are its own files.
const pages = (folder, names) => Object.entries(names).map(([name, text]) => ({ text, link: `/${folder}${name}` }));

/** A corner of a table that says nothing is no header. */
function emptyHeadersAsCells({ renderer }) {
  const tagAt = (tokens, content) => (tokens[content].content === "" ? "td" : "th");
  renderer.rules.th_open = (tokens, i) => `<${tagAt(tokens, i + 1)}>`;
  renderer.rules.th_close = (tokens, i) => `</${tagAt(tokens, i - 1)}>`;
}

export default {
  title: "Distillery",
  description: "Knowledge distillation for Node.js",
  lang: "en",
  head: [["link", { rel: "icon", href: "data:," }]],
  outDir: "../docs",
  // Written by TypeDoc after the site.
  ignoreDeadLinks: [/^\/api\//],
  markdown: {
    theme: { light: "github-light-high-contrast", dark: "github-dark-high-contrast" },
    config: emptyHeadersAsCells,
  },
  themeConfig: {
    search: {
      provider: "local",
      options: {
        miniSearch: {
          searchOptions: {
            // What one wants to do before the options that it takes, each of which has a heading.
            boostDocument: (id) => (id.includes("/how-to/") ? 2 : id.includes("/reference/options") ? 0.5 : 1),
          },
        },
      },
    },
    outline: [2, 3],
    nav: [
      { text: "Get started", link: "/start" },
      { text: "Guide", link: "/guide" },
      { text: "Options", link: "/reference/options" },
      { text: "API", link: "/api/index.html", target: "_self" },
    ],
    sidebar: [
      { text: "Get started", items: pages("", { start: "Get started", concepts: "Concepts" }) },
      {
        text: "How to",
        items: pages("how-to/", {
          csv: "Your CSV",
          images: "Your images",
          teacher: "Your teacher",
          loss: "Your loss",
          network: "Your network",
          pytorch: "From PyTorch",
          follow: "Follow runs",
          ship: "Ship a student",
          resume: "Stop and resume",
          docker: "In Docker",
          worker: "In a worker",
          bundlers: "In Next.js and bundlers",
          cluster: "On a cluster",
        }),
      },
      { text: "Guide", items: pages("", { guide: "Guide", data: "How data are read", methods: "Methods, with evidence", scale: "On several machines" }) },
      {
        text: "Reference",
        items: [
          ...pages("reference/", {
            options: "Options",
            losses: "Losses",
            networks: "Networks",
            teachers: "Teachers",
            optimizers: "Optimizers",
            schedules: "Schedules",
            tasks: "Tasks",
            formats: "Data formats",
            encodings: "Encodings of texts",
            layers: "Layers",
            operations: "Operations",
          }),
          { text: "Examples", link: "/examples/" },
        ],
      },
      {
        text: "Behind it",
        items: pages("", {
          performance: "Performance",
          reliability: "Reliability",
          architecture: "Architecture",
          changelog: "Changelog",
        }),
      },
    ],
  },
};
