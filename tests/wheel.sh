#!/usr/bin/env bash
# The built wheel as pip's users have it: bash tests/wheel.sh VENV…
#
# For each VENV (an environment with a stack) a new environment sees the packages of VENV, but not
# the checkout, and gets the wheel by pip; then the commands run at toy size in an empty folder.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
unset PYTHONPATH
export OMP_NUM_THREADS=1 HF_HUB_OFFLINE=1

# wheel from sdist, sdist from a copy: nothing is left in the checkout, nothing of it is forgotten
builder=$(cd "$root" && realpath -s "$1")/bin/python
mkdir "$work/source" "$work/dist"
cd "$root"
cp -r mlrfnet_mm configs tools setup.py pyproject.toml MANIFEST.in README.md LICENSE model-index.yml \
    "$work/source"
cd "$work/source"
"$builder" -c 'from setuptools.build_meta import build_sdist; build_sdist("../dist")' > ../sdist.log
"$builder" -m pip wheel -q --no-deps --no-build-isolation -w "$work/dist" "$work"/dist/*.tar.gz
wheel=$(echo "$work"/dist/*.whl)

# Everything that follows happens in empty folders. $1: environment with a stack, $2: its extra.
try() {
    local venv=$1 extra=$2 site new=$work/$2
    mkdir "$new" && cd "$new"
    "$venv/bin/python" -m venv --without-pip env
    site=$(env/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    # a path in a .pth file is searched, but .pth files there (the editable install's) are not read
    "$venv/bin/python" - > "$site/stack.pth" <<'PY'
import sysconfig
from importlib.util import find_spec
from pathlib import Path
print(sysconfig.get_path('purelib'))
print(Path(find_spec('torch').origin).parents[1])
PY
    "$venv/bin/pip" --python env/bin/python install -q --no-deps "$wheel"
    # what the wheel asks for is what the stack has: nothing would be installed but nothing missing
    "$venv/bin/pip" --python env/bin/python install -q --no-index --dry-run "$wheel[$extra]"
    export PATH=$new/env/bin:$PATH
    mkdir empty && cd empty
    python - "$new/env" <<'PY'
import sys
import mlrfnet_mm
assert mlrfnet_mm.__file__.startswith(sys.argv[1]), mlrfnet_mm.__file__
from mmengine.config import Config
from mmengine.hub import get_config
assert get_config('mlrfnet_mm::mlrfnet_xray14.py').model.head.lam == (0.5, 0.3, 0.1)
PY
    cat > my.py <<'PY'
_base_ = 'mlrfnet_mm::mlrfnet_phantom.py'

_base_.image_size = 32
PY
    python -c 'import mlrfnet_mm; from mmengine import Config; Config.fromfile("my.py")'
    local small=(train_cfg.max_epochs=1 train_dataloader.dataset.indices=16)
    for part in train val test; do
        small+=("${part}_dataloader.batch_size=8" "${part}_dataloader.num_workers=0")
    done
    mlrfnet phantom --patients 40 --size 40 --workers 1
    mlrfnet train my.py --cfg-options "${small[@]}"
    mlrfnet test my.py work_dirs/my --out p.npz --cfg-options "${small[@]}"
    mlrfnet predict work_dirs/my data/phantom/images --least-side 32
    mlrfnet export work_dirs/my --limit 8 --out-dir bundle
    mlrfnet report work_dirs/my --replicates 100
    test -s p.npz && test -s work_dirs/my/report.html
    # what needs more than the run is named in the last section
    if sed '/^## Not run/,$d' work_dirs/my/report.md | grep 'not run'; then exit 1; fi
    mkdir my_table
    cat > my_table/table.json <<'JSON'
{"title": "mine", "base": {"label": "base", "config": "mlrfnet_mm::mlrfnet_phantom.py"},
 "rows": {"zero": {"label": "zero"}}}
JSON
    printf "_base_ = 'mlrfnet_mm::mlrfnet_phantom.py'\n_base_.model.head.lam = (0.0, 0.0, 0.0)\n" \
        > my_table/zero.py
    mlrfnet ablate ./my_table --only zero --seeds 0 --out-dir . --replicates 100 --cfg-options image_size=32 "${small[@]}"
    test -s my_table.md
    python -m mlrfnet_mm ablate table9 --dry-run --on mlrfnet_phantom
}

# What a stack in $1 exported, by the wheel in an environment without torch: the same numbers.
light() {
    local from=$1
    mkdir "$work/light" && cd "$work/light"
    "$builder" -m venv env
    env/bin/pip install -q -c "$root/constraints.txt" "$wheel[openvino]"
    env/bin/mlrfnet predict "$from/data/phantom/images" --model "$from/bundle" --least-side 32 \
        --heatmap --report
    env/bin/python - "$from/predictions/predictions.json" <<'PY'
import json
import sys
from importlib.util import find_spec
assert not any(map(find_spec, ('torch', 'mmengine', 'timm', 'sklearn', 'scipy')))
ours, theirs = (
    json.load(open(name))['predictions'] for name in ('predictions/predictions.json', sys.argv[1])
)
assert len(ours) == len(theirs) > 40
for one, two in zip(ours, theirs):
    for finding, row in one['findings'].items():
        assert abs(row['score'] - two['findings'][finding]['score']) < 1e-5, (one['file'], finding)
PY
    test "$(du -sm env | cut -f1)" -lt 700
}

failed=0
pids=()
for venv; do
    venv=$(cd "$root" && realpath -s "$venv")
    if "$venv/bin/python" -c 'from importlib.metadata import version; version("onedl-mmengine")' 2> /dev/null
    then extra=onedl; else extra=openmmlab; fi
    (set -e; try "$venv" "$extra") > "$work/$extra.log" 2>&1 &
    pids+=("$!:$extra")
done
for pid in "${pids[@]}"; do
    if wait "${pid%%:*}"; then echo "wheel on ${pid#*:}: passed"; else
        echo "wheel on ${pid#*:}: FAILED"; tail -n 60 "$work/${pid#*:}.log"; failed=1
    fi
done
if [ -d "$work/openmmlab/empty/bundle" ] && [ "$failed" = 0 ]; then
    if (set -e; light "$work/openmmlab/empty") > "$work/light.log" 2>&1
    then echo 'wheel without torch: passed'; else
        echo 'wheel without torch: FAILED'; tail -n 60 "$work/light.log"; failed=1
    fi
fi
exit "$failed"
