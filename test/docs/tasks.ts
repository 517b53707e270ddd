/** What somebody wants to do, what they type, and what the page has that they come to. */
export const TASKS = [
  ["install it in a project", "install", "start.html", "npm install"],
  ["train on a table", "your csv", "how-to/csv.html", "--label-column"],
  ["train on photographs", "images folder", "how-to/images.html", "--image-size"],
  ["take a teacher from elsewhere", "onnx teacher", "guide.html", "--teacher teacher.onnx"],
  ["write a loss", "your loss", "how-to/loss.html", "my_loss.mjs"],
  ["write a network", "your network", "how-to/network.html", "extends Module"],
  ["port a script", "from pytorch", "how-to/pytorch.html", "torch.no_grad"],
  ["know whether it helps", "does distillation help", "start.html", "distillery compare"],
  ["choose a temperature", "temperature", "concepts.html", "What is good."],
  ["understand alpha", "alpha soft hard loss", "concepts.html", "(1 - alpha) hard"],
  ["go on after an interruption", "resume", "how-to/resume.html", "--resume"],
  ["run it in Docker", "docker", "how-to/docker.html", "docker run"],
  ["run it beside a server", "worker thread", "how-to/worker.html", "new Worker"],
  ["use it in Next.js", "next.js", "how-to/bundlers.html", "serverExternalPackages"],
  ["use several machines", "slurm", "how-to/cluster.html", "--collect"],
  ["look at a run", "follow runs", "how-to/follow.html", "distillery watch"],
] as const;
