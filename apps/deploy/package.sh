#!/usr/bin/env bash
# Package the app as a MONAI Application Package: a container image, which docker builds. Arguments: the image's name, and
# further options of `monai-deploy package`.
#   bash apps/deploy/package.sh unicoal:0.2.0 --platform x86_64
# The image gets the app with the package beside it, the requirements of both, and the bundle unified as its model.
set -euo pipefail
cd "$(dirname "$0")/../.."
tag=${1:?"give a name for the image, such as unicoal:0.2.0"}
shift
command -v monai-deploy > /dev/null || {
    echo "error: there is no command monai-deploy; apps/deploy/README.md says how to make an environment with it." >&2
    exit 1
}
build=$(mktemp -d)
trap 'rm -rf "$build"' EXIT
mkdir "$build/app" "$build/models"
cp -R apps/deploy/*.py apps/deploy/app.yaml unicoal_components "$build/app"
cat requirements.txt apps/deploy/requirements.txt > "$build/app/requirements.txt"
cp -R bundles/unified "$build/models"
find "$build" -name __pycache__ -prune -exec rm -r {} +
monai-deploy package "$build/app/app.py" --config "$build/app/app.yaml" --models "$build/models" --tag "$tag" "$@"
