/** The page of the demo app of sample mode. Its script is the app (src/smart/demo/demo.js). */
import { html } from './html.ts';
import { page } from './layout.ts';

const SCOPE =
  'launch/patient openid fhirUser offline_access patient/Patient.rs patient/Observation.rs patient/Condition.rs';

export function demoPage(root: string): string {
  return page(
    root,
    'Demo app',
    html`<p>A SMART app in small. It asks for what is below, and shows what it got.</p>
<label>Scopes <input id="scope" value="${SCOPE}"></label>
<p><button id="start" class="primary">Launch</button></p>
<pre id="out"></pre>
<script type="module" src="${root}/demo.js"></script>`,
  );
}
