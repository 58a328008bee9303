#!/usr/bin/env bash
# From nothing to a thin T2 made of a thick T1: simulate persons, train, evaluate, synthesize. Results in demo_output/.
#   bash scripts/demo.sh            about ten minutes on two cores; an earlier result is kept beside it
#   bash scripts/demo.sh --quick    one minute, in demo_output_quick/; shows that all parts work, not what they can do
set -euo pipefail
cd "$(dirname "$0")/.."
out=demo_output subjects=16 split=12,1,3 short=()
if [ "$*" = "--quick" ]; then
    out=demo_output_quick subjects=4 split=2,1,1
    short=(--images_per_epoch 64 --max_epochs 2 --val_interval 1)
elif [ $# -gt 0 ]; then
    echo "demo.sh knows only the option --quick, got '$*'" >&2
    exit 2
fi
. scripts/install.sh .

configs=bundles/unified/configs
common=(--dataset_dir $out/data --output_dir $out/training --ckpt_path $out/model.pt)
if [ $out = demo_output_quick ]; then
    rm -rf $out
elif [ -e $out ]; then
    kept=${out}_before_$(date +%Y%m%d-%H%M%S)
    mv $out "$kept"
    echo "The earlier result is now in $kept"
fi
echo "== 1/5 Simulate $subjects persons"
python scripts/simulate_cohort.py --output $out/data --subjects $subjects --split $split --spacing 3.2 --nifti
echo "== 2/5 Train"
python -m monai.bundle run --config_file "['$configs/train.json','$configs/demo.json']" "${common[@]}" "${short[@]}"
echo "== 3/5 Evaluate on persons that were never seen"
python -m monai.bundle run --config_file "['$configs/train.json','$configs/demo.json','$configs/evaluate.json']" \
    "${common[@]}" --evaluation_dir $out/evaluation
echo "== 4/5 Make a thick T1 of a person that was never seen, and a thin T2 of it"
person=$(python -c "import json; print(json.load(open('$out/data/datalist.json'))['test'][0]['subject'])")
scans=$out/data/nifti/$person
python scripts/make_thick.py --input "$scans/t1.nii.gz" --output $out/thick_t1.nii.gz --factor 4
python -m monai.bundle run --config_file "['$configs/inference.json','$configs/demo.json']" \
    --input $out/thick_t1.nii.gz --source_modality t1 --target_modality t2 --factor 4 \
    --ckpt_path $out/model.pt --output_dir $out
echo "== 5/5 Draw"
python scripts/draw_panel.py --input $out/thick_t1.nii.gz --prediction $out/thick_t1_t2.nii.gz \
    --truth "$scans/t2.nii.gz" --factor 4 --output $out/panel.png
echo "Done. Look at $out/panel.png and open $out/evaluation/report.html in a browser;"
echo "training curves: tensorboard --logdir $out/training/tensorboard"
