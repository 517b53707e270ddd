import { useData } from "vitepress";
import DefaultTheme from "vitepress/theme";
import { onMounted, watchEffect } from "vue";
import "./site.css";

/** VitePress's own, with what axe finds missing in it. */
export default {
  extends: DefaultTheme,
  setup() {
    const { frontmatter } = useData();
    // Pages have a <main>; the first one has none.
    onMounted(() =>
      watchEffect(() => {
        const content = document.getElementById("VPContent");
        if (frontmatter.value.layout === "home") content?.setAttribute("role", "main");
        else content?.removeAttribute("role");
      }),
    );
  },
};
